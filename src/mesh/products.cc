#include "mesh/products.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/ids.h"

namespace tarn::mesh {
namespace {

Result<void> check_slug(std::string_view what, const std::string& name) {
  const bool fine = !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (fine) return {};
  return Error(Code::kInvalid, std::string(what),
               fmt::format("{} name '{}' must be 1 to 63 of a-z, 0-9, '-' and '_'", what, name));
}

}  // namespace

Result<Json> Products::create_domain(const Context& ctx, const Actor& actor, const Json& body) {
  if (!actor.administrator) return Error(Code::kForbidden, "permissions", "domains are made by an administrator");
  TRY_LET(const std::string name, body.need_string("name"));
  TRY_LET(const std::string owner, body.need_string("owner"));
  TRY(check_slug("domain", name));
  Json domain = Json::object({{"name", name}, {"owner", owner}});
  kv::Batch batch;
  put(batch, keys::domain(name), domain);
  TRY(world_.doors.kv.apply(ctx, batch));
  return domain;
}

Result<Json> Products::domains(const Context& ctx) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::kDomains));
  Json list = Json::array();
  for (const auto& [name, domain] : all) list.push(domain.json);
  return list;
}

Result<Json> Products::create(const Context& ctx, const Actor& actor, const Json& body) {
  TRY_LET(const std::string domain, body.need_string("domain"));
  TRY_LET(const std::string name, body.need_string("name"));
  TRY(check_slug("product", name));
  TRY_LET(const Record domain_record, world_.records.get(ctx, keys::domain(domain), "domain", domain));
  if (!actor.administrator && domain_record.json["owner"].as_string() != actor.user)
    return Error(Code::kForbidden, "permissions",
                 fmt::format("products of domain '{}' are made by its owner '{}'", domain,
                             domain_record.json["owner"].as_string()));
  const std::string repository_name = body["repository"].is_string() ? body["repository"].as_string() : name;
  TRY(versioning::check_repository_name(repository_name));
  const std::string owner =
      body["owner"].is_string() ? body["owner"].as_string() : domain_record.json["owner"].as_string();
  const std::string space =
      body["storage_namespace"].is_string() ? body["storage_namespace"].as_string() : "local://" + repository_name;

  TRY_LET(const auto known, world_.records.find(ctx, keys::product(domain, name)));
  if (known) {
    if (known->json["repository"].as_string() != repository_name)
      return Error(
          Code::kAlreadyExists, "product",
          fmt::format("{}/{} exists with repository '{}'", domain, name, known->json["repository"].as_string()));
    return describe(ctx, domain, name);
  }
  TRY_LET(const auto taken, world_.records.find(ctx, keys::repository(repository_name)));
  if (taken)
    return Error(Code::kAlreadyExists, "product",
                 fmt::format("repository '{}' belongs to another product", repository_name));

  // Everything is read before anything is made.
  Definitions definitions;
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& [path, text] : body["files"].members()) {
    TRY(versioning::check_path("_mesh/" + path));
    TRY(add_definition("_mesh/" + path, text.as_string(), definitions));
    files.emplace_back("_mesh/" + path, text.as_string());
  }
  if (definitions.product.is_null()) return Error(Code::kInvalid, "definition", "files must hold product.odps.yaml");
  for (const std::string& port : definitions.ports)
    if (std::none_of(definitions.contracts.begin(), definitions.contracts.end(),
                     [&](const ContractFile& c) { return c.name == port; }))
      return Error(Code::kInvalid, "definition",
                   fmt::format("port '{}' has no contract: add contracts/{}.odcs.yaml", port, port));

  auto& engine = world_.doors.engine;
  auto repository = engine.get_repository(ctx, repository_name);
  if (!repository && repository.error().code() == Code::kNotFound) {
    versioning::RepositoryCreation creation;
    creation.name = repository_name;
    creation.storage_namespace = space;
    creation.metadata = {{"mesh.product", domain + "/" + name}};
    repository = engine.create_repository(ctx, creation);
  }
  if (!repository) return repository.error();
  TRY(engine.set_protection(ctx, *repository, {{repository->default_branch}}));

  std::vector<tree::Edit> edits;
  std::sort(files.begin(), files.end());
  for (const auto& [path, text] : files) {
    TRY_LET(tree::Entry entry, world_.doors.catalog.write_bytes(ctx, *repository, text, "application/yaml"));
    edits.push_back({path, std::move(entry)});
  }
  versioning::CommitSpec spec;
  spec.message = fmt::format("Data product {}/{}", domain, name);
  spec.committer = actor.user;
  spec.allow_empty = true;
  TRY_LET(const versioning::Candidate candidate, engine.prepare_edits(ctx, *repository, repository->default_branch,
                                                                      edits, spec, versioning::LandingKind::kMesh));
  const std::string id = base::uuid7(world_.doors.clock, world_.doors.random);
  const Json product = Json::object({{"id", id},
                                     {"domain", domain},
                                     {"name", name},
                                     {"repository", repository_name},
                                     {"owner", owner},
                                     {"created_at", base::rfc3339(world_.doors.clock.wall_ms())}});
  versioning::Landing landing;
  landing.candidate = candidate;
  const versioning::Pass pass{"mesh", "product/" + id};
  landing.pass = &pass;
  // The owner may write to the repository's branches; its trunk moves only by proposals.
  if (const auto granted = world_.doors.auth.grant_write(ctx, landing.also, owner, repository_name);
      !granted && granted.error().code() != Code::kNotFound)
    return granted.error();
  put_if(landing.also, keys::product(domain, name), product, 0);
  put_if(landing.also, keys::repository(repository_name), Json::object({{"domain", domain}, {"name", name}}), 0);
  put_if(landing.also, keys::gate_record(repository_name, candidate.commit.id.hex()),
         Json::object({{"repository", repository_name},
                       {"branch", repository->default_branch},
                       {"commit", candidate.commit.id.hex()},
                       {"kind", "product"},
                       {"decision", "passed"},
                       {"proposer", actor.user}}),
         0);
  world_.add_event(landing.also, "mesh.product.created", repository_name, product);
  TRY(engine.land(ctx, *repository, landing));
  return describe(ctx, domain, name);
}

Result<Json> Products::summary(const Context& ctx, const Json& product) {
  Json out = product;
  const std::string repository_name = product["repository"].as_string();
  TRY_LET(const versioning::Repository repository, world_.doors.engine.get_repository(ctx, repository_name));
  TRY_LET(const versioning::Resolved at, world_.doors.engine.resolve(ctx, repository, repository.default_branch));
  Json ports = Json::array();
  const auto definitions = definitions_.read(ctx, repository, at.commit);
  if (definitions) {
    for (const ContractFile& file : (*definitions)->contracts) {
      if (!(*definitions)->is_port(file.name)) continue;
      TRY_LET(const auto latest, publications_.latest(ctx, repository_name, file.name, file.major));
      Json port = Json::object(
          {{"name", file.name},
           {"major", file.major},
           {"path", file.prefix},
           {"contract",
            Json::object({{"path", file.path}, {"id", file.contract.id}, {"version", file.contract.version}})},
           {"retired", file.retired}});
      if (latest)
        port.set("latest", Json::object({{"number", (*latest)["number"]},
                                         {"commit", (*latest)["commit"]},
                                         {"holds", (*latest)["holds"]}}));
      ports.push(std::move(port));
    }
    Json inputs = Json::array();
    for (const Input& input : (*definitions)->inputs)
      inputs.push(Json::object({{"name", input.name},
                                {"product", input.product},
                                {"port", input.port},
                                {"major", input.major},
                                {"path", input.path},
                                {"branch", input.branch},
                                {"mode", input.mode}}));
    out.set("inputs", inputs);
  } else {
    out.set("definitions_error", definitions.error().message());
  }
  TRY_LET(const auto open, incidents_.open_ones(ctx, repository_name));
  Json incidents = Json::array();
  for (const Record& i : open) incidents.push(i.json["id"]);
  out.set("head", at.commit.id.hex()).set("ports", ports).set("open_incidents", incidents);
  out.set("health", incidents.size() > 0 ? "incident" : "fine");
  return out;
}

Result<Json> Products::list(const Context& ctx) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::kProducts));
  Json list = Json::array();
  for (const auto& [key, product] : all) {
    TRY_LET(Json whole, summary(ctx, product.json));
    list.push(std::move(whole));
  }
  return list;
}

Result<Json> Products::describe(const Context& ctx, std::string_view domain, std::string_view name) {
  TRY_LET(const Record product,
          world_.records.get(ctx, keys::product(domain, name), "product", fmt::format("{}/{}", domain, name)));
  return summary(ctx, product.json);
}

Result<Json> Products::graph(const Context& ctx) {
  TRY_LET(Json domains, this->domains(ctx));
  TRY_LET(Json products, list(ctx));
  TRY_LET(const auto subscriptions, world_.records.list(ctx, keys::kSubscriptions));
  Json edges = Json::array();
  for (const auto& [key, s] : subscriptions) {
    TRY_LET(const auto latest, publications_.latest(ctx, s.json["producer"].as_string(), s.json["port"].as_string(),
                                                    s.json["major"].as_int()));
    edges.push(Json::object({{"from", s.json["producer"]},
                             {"to", s.json["consumer"]},
                             {"input", s.json["input"]},
                             {"port", s.json["port"]},
                             {"major", s.json["major"]},
                             {"mode", s.json["mode"]},
                             {"state", s.json["state"]},
                             {"pin", s.json["pin"]["number"]},
                             {"latest", latest ? (*latest)["number"] : Json()}}));
  }
  return Json::object({{"domains", domains}, {"products", products}, {"edges", edges}});
}

Result<Json> Products::onboard_history(const Context& ctx, const Actor& actor, const std::string& repository_name,
                                       const Json& body) {
  TRY(world_.need_owner(ctx, actor, repository_name));
  TRY_LET(const std::string from, body.need_string("from"));
  TRY_LET(const std::string to, body.need_string("to"));
  if (to.empty() || to.back() != '/') return Error(Code::kInvalid, "to", "to must be a folder ending in '/'");
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  TRY_LET(std::vector<tree::Edit> edits,
          world_.doors.catalog.list_import(ctx, {catalog::ImportPath::Type::kPrefix, from, to}));
  if (edits.empty()) return Error(Code::kInvalid, "from", fmt::format("'{}' holds no file", from));
  uint64_t bytes = 0;
  for (const tree::Edit& e : edits) bytes += e.entry->size;
  std::sort(edits.begin(), edits.end(), [](const tree::Edit& a, const tree::Edit& b) { return a.key < b.key; });
  versioning::CommitSpec spec;
  spec.message = fmt::format("History of {} from {}", repository_name, from);
  spec.committer = actor.user;
  spec.metadata = {{"mesh.history", from}};
  auto candidate =
      engine.prepare_edits(ctx, repository, repository.default_branch, edits, spec, versioning::LandingKind::kMesh);
  if (!candidate) return candidate.error();
  ProposalSpec proposal;
  proposal.repository = repository_name;
  proposal.source = candidate->commit.id.hex();
  proposal.destination = repository.default_branch;
  proposal.title = spec.message;
  proposal.kind = "history";
  proposal.direct = true;
  proposal.proposer.actor = actor;
  proposal.proposer.reports_only = true;
  proposal.context = Json::object({{"from", from}, {"to", to}});
  TRY_LET(const Json opened, proposals_.open(ctx, proposal));
  TRY_LET(Json decided, proposals_.decide(ctx, opened["id"].as_string()));
  return Json::object({{"commit", decided["landed_commit"]},
                       {"objects", edits.size()},
                       {"bytes_linked", bytes},
                       {"bytes_copied", 0},
                       {"state", decided["state"]},
                       {"proposal", decided["id"]},
                       {"report", decided["report"]},
                       {"published", decided["publications"]}});
}

Result<Json> Products::digests(const Context& ctx, const std::string& repository_name, const std::string& ref) {
  auto& engine = world_.doors.engine;
  TRY_LET(const versioning::Repository repository, engine.get_repository(ctx, repository_name));
  TRY_LET(const versioning::Resolved at,
          engine.resolve(ctx, repository, ref.empty() ? repository.default_branch : ref));
  TRY_LET(const auto definitions, definitions_.read(ctx, repository, at.commit));
  Json ports = Json::object(), inputs = Json::object();
  for (const ContractFile& file : definitions->contracts) {
    if (!definitions->is_port(file.name)) continue;
    TRY_LET(const std::string digest, engine.scope_digest(ctx, repository, at.commit, file.prefix));
    ports.set(file.name, digest);
  }
  for (const Input& input : definitions->inputs) {
    if (input.product.empty()) continue;
    TRY_LET(const std::string digest, engine.scope_digest(ctx, repository, at.commit, input.path));
    inputs.set(input.name, digest);
  }
  TRY_LET(const std::string locks, engine.scope_digest(ctx, repository, at.commit, "_mesh/lock/"));
  return Json::object({{"repository", repository_name},
                       {"commit", at.commit.id.hex()},
                       {"ports", ports},
                       {"inputs", inputs},
                       {"locks", locks}});
}

}  // namespace tarn::mesh
