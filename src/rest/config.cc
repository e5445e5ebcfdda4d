#include "rest/answers.h"
#include "rest/handlers.h"

namespace tarn::rest {
namespace {

/// The context names the interface: clients take any other word for a paid edition and warn.
Json version_of(const Settings& settings) {
  return Json::object({{"version", settings.version}, {"version_context", "lakeFS"}, {"product", "Tarn"}});
}

Json storage() {
  return Json::object({{"blockstore_type", "local"},
                       {"blockstore_namespace_example", "local://example-repository"},
                       {"blockstore_namespace_ValidityRegex", "^local://"},
                       {"default_namespace_prefix", "local://"},
                       {"pre_sign_support", false},
                       {"pre_sign_support_ui", false},
                       {"import_support", true},
                       {"import_validity_regex", "^(local://)?/"},
                       {"pre_sign_multipart_upload", false},
                       {"blockstore_id", ""},
                       {"blockstore_description", ""}});
}

}  // namespace

// GET /config — operation getConfig. 200 version, storage, capabilities.
Answer get_config(Call& call) {
  return ok(Json::object({{"version_config", version_of(call.doors.settings)},
                          {"storage_config", storage()},
                          {"storage_config_list", Json::array()},
                          {"ui_config", Json::object()},
                          {"capabilities_config", Json::object()}}));
}

// GET /config/version — operation getLakeFSVersion.
Answer get_version_config(Call& call) { return ok(version_of(call.doors.settings)); }

// GET /config/storage — operation getStorageConfig.
Answer get_storage_config(Call&) { return ok(storage()); }

}  // namespace tarn::rest
