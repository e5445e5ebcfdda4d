#include "server/wiring.h"

#include <fmt/format.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/random.h"
#include "catalog/catalog.h"
#include "http/client.h"
#include "http/server.h"
#include "http/url.h"
#include "kv/rocks.h"
#include "mesh/mesh.h"
#include "quality/engine.h"
#include "rest/mesh_routes.h"
#include "rest/routes.h"
#include "s3/handler.h"
#include "server/check_library.h"
#include "server/data_folder.h"
#include "server/dispatch.h"
#include "server/object_store.h"
#include "server/product.h"
#include "server/upkeep.h"
#include "tasks/tasks.h"
#include "versioning/engine.h"

namespace tarn::server {
namespace {

/// How long a moved ref may be in the key-value store alone (docs/formats/ref-journal.md).
constexpr int64_t kRefJournalMs = 1'000;

bool is_loopback(std::string_view host) { return host == "::1" || host == "localhost" || host.starts_with("127."); }

/// Errors: kInvalid for an address that other machines reach in the clear.
Result<bool> check_listen(const Config& config) {
  TRY_LET(const auto where, http::parse_host_port(config.text("listen")));
  const bool loopback = is_loopback(where.host);
  if (!loopback && config.text("tls.certificate_file").empty() && !config.flag("insecure_listen"))
    return Error(
        Code::kInvalid, "listen",
        fmt::format("{} is reachable from other machines and has no TLS: give tls.certificate_file and tls.key_file, "
                    "or say --insecure-listen",
                    config.text("listen")));
  return loopback;
}

/// The first administrator from TARN_ADMIN_KEY and TARN_ADMIN_SECRET, when nobody is there yet.
Result<void> set_up_from(const Config& config, auth::Auth& auth) {
  const std::string &key = config.text("admin.key"), &secret = config.text("admin.secret");
  if (key.empty() && secret.empty()) return {};
  if (key.empty() || secret.empty())
    return Error(Code::kInvalid, "admin.key",
                 "admin.key and admin.secret (TARN_ADMIN_KEY, TARN_ADMIN_SECRET) come together");
  auto made = auth.set_up({}, config.text("admin.user"), auth::KeyPair{key, base::Secret<std::string>(secret)});
  if (!made && made.error().code() != Code::kAlreadyExists) return std::move(made).error();
  return {};
}

class Wired final : public House {
 public:
  explicit Wired(const Config& config)
      : config_(config), principals_(static_cast<size_t>(config.number("http.requests_per_principal_max"))) {}
  ~Wired() override { stop(); }

  Result<void> open() {
    TRY_LET(const bool loopback, check_listen(config_));
    // The ground: folder, then what is durable.
    TRY_LET(folder_, open_data_folder(disk_, config_.text("data"), clock_, random_));
    TRY_LET(folder_.path, disk_.real_path(folder_.path));
    TRY_LET(const bool lost, lost_its_records(disk_, folder_.path));
    if (lost)
      return Error(Code::kCorrupt, "data folder",
                   fmt::format("{} holds objects and no key-value store (kv/): put it back from a backup, or run `tarn "
                               "recover --data {}`, which rebuilds repositories, commits, branches and tags",
                               folder_.path, folder_.path));
    kv::RocksOptions kv_options{.cache_bytes = size("kv.cache_bytes"),
                                .reserve_bytes = size("kv.reserve_bytes"),
                                .cut_damaged_log = config_.flag("kv.cut_damaged_log")};
    if (kv_options.cut_damaged_log)
      base::log(base::Level::kWarning,
                "a damaged log of the store would be cut: take the setting back after this start",
                {{"setting", "kv.cut_damaged_log"}, {"from", config_.at("kv.cut_damaged_log").from}});
    TRY_LET(kv_, kv::open_rocks_store(folder_.path + "/kv", kv_options));
    TRY_LET(objects_, open_object_store(disk_, folder_, config_));
    block::Store& blocks = objects_.front();
    tasks_ = std::make_unique<tasks::Tasks>(*kv_, clock_, random_, size("tasks.threads"));
    // Versions over them, and objects over those.
    TRY_LET(engine_, versioning::Engine::open(*kv_, blocks, clock_, random_,
                                              {.node_cache_bytes = size("tree.node_cache_bytes"),
                                               .fold_from = size("tree.fold_from"),
                                               .ref_journal_ms = kRefJournalMs}));
    const auto roots = config_.list("import.local_roots");
    TRY_LET(catalog_,
            catalog::Catalog::open(
                *kv_, blocks, disk_, *engine_, *tasks_, clock_, random_,
                {.import_roots = roots, .import_anywhere = loopback && roots.empty(), .data_folder = folder_.path}));
    // Who may come in.
    TRY_LET(auth_, auth::Auth::open(*kv_, disk_, folder_.path + "/secrets/auth.key", clock_, random_));
    TRY(set_up_from(config_, *auth_));
    TRY_LET(const bool set_up, auth_->is_set_up({}));
    if (!set_up) setup_token_ = random_.hex(16);
    // The doors.
    const int64_t deadline = config_.number("http.request_deadline_ms");
    doors_ = std::make_unique<rest::Doors>(rest::Doors{*auth_,
                                                       *catalog_,
                                                       clock_,
                                                       principals_,
                                                       {.version = std::string(kVersion),
                                                        .installation_id = folder_.installation_id,
                                                        .setup_token = setup_token_,
                                                        .loopback_only = loopback,
                                                        .json_body_max = size("http.json_body_bytes_max"),
                                                        .bulk_body_max = 4 * size("http.json_body_bytes_max"),
                                                        .request_deadline_ms = deadline}});
    // The mesh; without the check library it lives, and no gate passes.
    const auto started = start_checks();
    if (!started) base::log(base::Level::kWarning, "contracts cannot be tested", {{"why", started.error().message()}});
    mesh_ = std::make_unique<mesh::Mesh>(
        mesh::Doors{*kv_,
                    *catalog_,
                    *engine_,
                    *tasks_,
                    *auth_,
                    checks_.get(),
                    client_,
                    disk_,
                    clock_,
                    random_,
                    folder_.path + "/exports",
                    {config_.number("mesh.heartbeat_limit_ms"), config_.number("mesh.landed_runs_kept")},
                    started ? std::string() : started.error().message()});
    engine_->set_policy(&mesh_->policy);
    doors_->mesh = mesh_.get();
    rest::add_routes(router_, *doors_);
    rest::add_all(router_, *doors_, rest::mesh_routes());
    s3_ = s3::make_handler(
        {*catalog_, *auth_, clock_, config_.text("s3.region"), config_.list("s3.domains"), &principals_, deadline});
    TRY(tasks_->start({}));
    TRY(mesh_->start({}));
    return listen();
  }

  const std::string& url() const override { return url_; }
  const std::string& setup_token() const override { return setup_token_; }

  bool stop() override {
    bool whole = true;
    if (server_) {
      whole = server_->stop(config_.number("shutdown.grace_ms"));
      server_.reset();
      (void)disk_.remove(folder_.path + "/address");
    }
    if (tasks_) tasks_->stop();  // its runners use the rooms that go next
    return whole;
  }

 private:
  Result<void> start_checks() {
    TRY_LET(const std::string self, disk_.real_path("/proc/self/exe"));
    quality::PoolOptions pool;
    TRY_LET(pool.library_path, find_check_library(disk_, config_.text("duckdb.library"), self));
    TRY_LET(checks_, quality::Engine::start(std::move(pool), clock_));
    return {};
  }
  size_t size(std::string_view key) const { return static_cast<size_t>(config_.number(key)); }

  Result<void> listen() {
    http::Server::Options options;
    options.listen = config_.text("listen");
    options.tls_certificate_file = config_.text("tls.certificate_file");
    options.tls_key_file = config_.text("tls.key_file");
    options.server_name = fmt::format("tarn/{}", kVersion);
    options.limits.connections = size("http.connections_max");
    options.limits.requests_in_flight = size("http.requests_in_flight_max");
    options.workers_max = options.limits.requests_in_flight;
    options.answers_at_once = [domains = config_.list("s3.domains")](const http::Request& request) {
      return request.path == "/_health" || (rest::answers_at_once(request) && !is_s3(request, domains));
    };
    server_ = std::make_unique<http::Server>(std::move(options));
    auto started =
        server_->start([this, domains = config_.list("s3.domains")](const Context& ctx, http::Request& request) {
          return is_s3(request, domains) ? s3_(ctx, request) : router_.dispatch(ctx, request);
        });
    if (!started) {
      server_.reset();
      return std::move(started).error();
    }
    url_ = fmt::format("{}://{}", config_.text("tls.certificate_file").empty() ? "http" : "https", server_->address());
    return disk_.write_atomic(folder_.path + "/address", url_ + "\n");
  }

  // In the order of construction; destroyed the other way round.
  const Config config_;
  base::Clock& clock_ = base::system_clock();
  base::Random& random_ = base::system_random();
  base::Disk& disk_ = base::system_disk();
  http::InFlight principals_;
  DataFolder folder_;
  std::unique_ptr<kv::Store> kv_;
  ObjectStore objects_;
  std::unique_ptr<tasks::Tasks> tasks_;
  std::unique_ptr<versioning::Engine> engine_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<auth::Auth> auth_;
  std::unique_ptr<quality::Engine> checks_;
  http::CurlClient client_;
  std::unique_ptr<mesh::Mesh> mesh_;
  std::unique_ptr<rest::Doors> doors_;
  http::Router router_;
  http::Handler s3_;
  std::unique_ptr<http::Server> server_;
  std::string url_, setup_token_;
};

}  // namespace

Result<std::unique_ptr<House>> House::build(const Config& config) {
  auto house = std::make_unique<Wired>(config);
  TRY(house->open());
  return std::unique_ptr<House>(std::move(house));
}

}  // namespace tarn::server
