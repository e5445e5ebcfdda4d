#include <fmt/format.h>

#include "cli/commands.h"

namespace tarn::cli {
namespace {

constexpr size_t kBatch = 1000;

/// "a/b" means what lies in the folder, and never "a/b2".
void as_folder(Uri& uri) {
  if (!uri.path.empty() && uri.path.back() != '/') uri.path += '/';
}

Result<void> delete_batch(Call& call, const Uri& uri, Json& paths) {
  if (paths.size() == 0) return {};
  const Json body = Json::object({{"paths", paths}});
  TRY_LET(const Json answer,
          call.api->post(path_of({"repositories", uri.repository, "branches", uri.ref, "objects", "delete"}), body));
  paths = Json::array();
  if (answer["errors"].size() > 0) {
    const Json& first = answer["errors"].items().front();
    return Error(Code::kForbidden, "object",
                 fmt::format("{} of the objects could not be deleted; the first: {}: {}", answer["errors"].size(),
                             first["path"].as_string(), first["message"].as_string()));
  }
  return {};
}

Result<int> rm(Call& call) {
  TRY_LET(Uri uri, call.has("recursive") ? parse_prefix_uri(call.operand("PATH"))
                                         : parse_uri(call.operand("PATH"), UriPart::kPath));
  if (call.has("recursive")) as_folder(uri);
  if (!call.has("recursive")) {
    TRY_LET(const Json gone, call.api->remove(path_of({"repositories", uri.repository, "branches", uri.ref, "objects"}),
                                              query_of({{"path", uri.path}})));
    call.out->remark(fmt::format("deleted {}", uri.text()));
    return kDone;
  }
  if (uri.path.empty()) TRY(confirm(call, fmt::format("Every object of {} goes.", uri.text())));
  int64_t count = 0;
  Json paths = Json::array();
  Progress progress(*call.out, "deleted objects", 0);
  TRY(call.api->each(path_of({"repositories", uri.repository, "refs", uri.ref, "objects", "ls"}),
                     query_of({{"prefix", uri.path}, {"user_metadata", "false"}}), 0,
                     [&](const Json& item) -> Result<void> {
                       paths.push(item["path"]);
                       progress.set(++count);
                       return paths.size() == kBatch ? delete_batch(call, uri, paths) : Result<void>();
                     }));
  TRY(delete_batch(call, uri, paths));
  progress.finish();
  if (count == 0) return Error(Code::kNotFound, "path", fmt::format("nothing lies below {}", uri.text()));
  call.out->remark(fmt::format("deleted {} objects", count));
  return kDone;
}

Result<Json> copy_one(Call& call, const Uri& from, const std::string& path, const Uri& to, const std::string& target) {
  const Json body = Json::object({{"src_path", path}, {"src_ref", from.ref}});
  return call.api->post(path_of({"repositories", to.repository, "branches", to.ref, "objects", "copy"}), body,
                        query_of({{"dest_path", target}}));
}

Result<int> cp(Call& call) {
  TRY_LET(Uri from, call.has("recursive") ? parse_prefix_uri(call.operand("FROM"))
                                          : parse_uri(call.operand("FROM"), UriPart::kPath));
  TRY_LET(Uri to, parse_prefix_uri(call.operand("TO")));
  if (call.has("recursive")) {
    as_folder(from);
    as_folder(to);
  }
  if (from.repository != to.repository)
    return Error(Code::kUnsupported, "copy",
                 "copies go within one repository: download and upload, or import, to reach another");
  if (!call.has("recursive")) {
    if (to.path.empty() || to.path.ends_with('/')) to.path += from.path.substr(from.path.rfind('/') + 1);
    TRY_LET(const Json made, copy_one(call, from, from.path, to, to.path));
    if (call.out->as_json(made)) return kDone;
    call.out->remark(fmt::format("copied to {}", to.text()));
    return kDone;
  }
  int64_t count = 0;
  Progress progress(*call.out, "copied objects", 0);
  TRY(call.api->each(
      path_of({"repositories", from.repository, "refs", from.ref, "objects", "ls"}),
      query_of({{"prefix", from.path}, {"user_metadata", "false"}}), 0, [&](const Json& item) -> Result<void> {
        const std::string& path = item["path"].as_string();
        TRY_LET(const Json made, copy_one(call, from, path, to, to.path + path.substr(from.path.size())));
        progress.set(++count);
        return {};
      }));
  progress.finish();
  if (count == 0) return Error(Code::kNotFound, "path", fmt::format("nothing lies below {}", from.text()));
  call.out->remark(fmt::format("copied {} objects", count));
  return kDone;
}

}  // namespace

std::vector<Command> fs_change_commands() {
  return {
      {.words = "fs rm",
       .summary = "Deletes objects on a branch; a commit makes it last",
       .operands = {{"PATH", "repository/branch/path"}},
       .options = {{"recursive", "", "everything below the path", 'r'}, kYes},
       .run = rm},
      {.words = "fs cp",
       .summary = "Copies objects within a repository; no byte is copied",
       .operands = {{"FROM", "repository/ref/path"}, {"TO", "repository/branch/path"}},
       .options = {{"recursive", "", "everything below FROM", 'r'}},
       .run = cp},
  };
}

}  // namespace tarn::cli
