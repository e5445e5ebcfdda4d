#include "mesh/checks.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/metrics.h"
#include "quality/contract_diff.h"

namespace tarn::mesh {
namespace {

constexpr size_t kBaselinePartitions = 28;

bool has_prefix(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

int64_t now_us() {
  const auto since_start = std::chrono::steady_clock::now().time_since_epoch();  // house: allow(time) durations only
  return std::chrono::duration_cast<std::chrono::microseconds>(since_start).count();
}

const ContractFile* find_path(const std::vector<ContractFile>& files, std::string_view path) {
  for (const ContractFile& f : files)
    if (f.path == path) return &f;
  return nullptr;
}

bool is_parquet(std::string_view path) { return path.ends_with(".parquet"); }

/// Readers of a table leave out what lies below a name that begins with '_' or '.': markers, logs, temporary files.
bool is_left_out(std::string_view path, std::string_view prefix) {
  for (size_t at = prefix.size(); at < path.size();) {
    if (path[at] == '_' || path[at] == '.') return true;
    const size_t slash = path.find('/', at);
    if (slash == std::string_view::npos) return false;
    at = slash + 1;
  }
  return false;
}

/// Files that a change brings below a contract's folder and that no rule can read. nullopt: none.
std::optional<Json> unreadable_files(const ContractFile& file, const std::vector<tree::Change>& changes) {
  constexpr size_t kNamed = 5;
  size_t count = 0;
  std::string names;
  for (const tree::Change& change : changes) {
    if (!change.right || !has_prefix(change.key, file.prefix)) continue;
    if (is_parquet(change.key) || is_left_out(change.key, file.prefix)) continue;
    if (++count <= kNamed) names += (names.empty() ? "" : ", ") + change.key;
  }
  if (count == 0) return std::nullopt;
  if (count > kNamed) names += fmt::format(" and {} more", count - kNamed);
  Json f = finding("files-readable", "failed",
                   fmt::format("every file below {} is Parquet and named *.parquet; names that begin with '_' or '.' "
                               "are no data",
                               file.prefix),
                   names);
  f.set("contract", file.path).set("failing_files", count);
  return f;
}

bool refuses(const Json& finding) {
  const std::string result = finding["result"].as_string();
  return result == "failed" || result == "error";
}

}  // namespace

Json finding(std::string_view check, std::string_view result, std::string_view expected, std::string_view observed) {
  return Json::object({{"contract", ""},
                       {"check", check},
                       {"severity", result == "warned" ? "warning" : "error"},
                       {"result", result},
                       {"expected", expected},
                       {"observed_text", observed}});
}

std::set<std::string> touched_partitions(const ContractFile& file, const std::vector<tree::Change>& changes) {
  std::set<std::string> touched;
  for (const tree::Change& change : changes)
    if (has_prefix(change.key, file.prefix))
      touched.insert(partition_of(change.key, file.prefix, file.partition).value_or(""));
  return touched;
}

Result<Checks::TableFiles> Checks::files_of(const Context& ctx, const versioning::Repository& repository,
                                            const versioning::Commit& at, const std::string& prefix) {
  TableFiles files{&repository, {}};
  TRY(world_.doors.engine.walk(ctx, repository, at, prefix, [&](const std::string& path, const tree::Entry& entry) {
    if (is_parquet(path) && !is_left_out(path, prefix)) files.files.emplace_back(path, entry);
    return Result<void>();
  }));
  return files;
}

quality::Table Checks::table(const Context& ctx, std::string name, const TableFiles& files,
                             const std::string& partition_key, const std::string& prefix,
                             const std::set<std::string>& only) {
  quality::Table table;
  table.name = std::move(name);
  const bool whole = partition_key.empty() || only.empty() || only.contains("");
  for (const auto& [path, entry] : files.files) {
    if (!whole) {
      const auto partition = partition_of(path, prefix, partition_key);
      if (!partition || !only.contains(*partition)) continue;
    }
    // Foreign bytes have only a listing's word as ETag: the address makes the name unique.
    const std::string checksum =
        entry.etag.text() + "|" + world_.doors.catalog.physical_address(*files.repository, entry);
    table.objects.push_back({path, checksum, [this, ctx, repository = *files.repository, entry = entry] {
                               return world_.doors.catalog.read_entry(ctx, repository, entry);
                             }});
  }
  return table;
}

Result<std::vector<quality::Table>> Checks::references(const Context& ctx, const ContractFile& file,
                                                       const versioning::Repository& repository,
                                                       const versioning::Commit& at, const Definitions& definitions,
                                                       const std::set<std::string>& partitions) {
  std::vector<quality::Table> tables;
  for (const std::string& name : file.references) {
    const Input* input = definitions.input(name);
    if (!input)
      return Error(Code::kInvalid, "reference",
                   fmt::format("{}: a rule names the reference table '{}', but _mesh/inputs.yaml has no such input",
                               file.path, name));
    TRY_LET(const TableFiles files, files_of(ctx, repository, at, input->path));
    tables.push_back(table(ctx, name, files, file.partition.empty() ? "" : input->partition, input->path, partitions));
  }
  return tables;
}

Result<void> Checks::run_contract(const Context& ctx, const ContractFile& file,
                                  const versioning::Repository& repository, const versioning::Commit& head,
                                  const versioning::Commit& candidate, const Definitions& at_candidate,
                                  const std::set<std::string>& partitions, Json& findings, Json& contracts) {
  TRY_LET(const TableFiles files, files_of(ctx, repository, candidate, file.prefix));
  quality::CheckScope scope;
  scope.changed = table(ctx, file.contract.schemas.front().name, files, file.partition, file.prefix, partitions);
  Json about = Json::object({{"path", file.path},
                             {"id", file.contract.id},
                             {"version", file.contract.version},
                             {"table", file.prefix},
                             {"objects", scope.changed.objects.size()}});
  if (scope.changed.objects.empty()) {
    // Only removals: there is no row to test.
    contracts.push(about.set("skipped", "no object is left in the touched partitions"));
    return {};
  }
  if (!file.partition.empty() && !partitions.contains("")) {
    TRY_LET(const TableFiles before, files_of(ctx, repository, head, file.prefix));
    std::set<std::string> earlier;
    for (const auto& [path, entry] : before.files)
      if (const auto p = partition_of(path, file.prefix, file.partition); p && *p < *partitions.begin())
        earlier.insert(*p);
    while (earlier.size() > kBaselinePartitions) earlier.erase(earlier.begin());
    if (!earlier.empty()) scope.baseline = table(ctx, "baseline", before, file.partition, file.prefix, earlier);
  }
  TRY_LET(scope.references, references(ctx, file, repository, candidate, at_candidate, partitions));
  TRY_LET(const base::WallMs now, world_.now(ctx));
  scope.now_rfc3339 = base::rfc3339(now);
  if (!world_.doors.checks)
    return Error(Code::kUnavailable, "checks", "contracts cannot be tested: " + world_.doors.checks_missing);
  TRY_LET(const quality::Report report, world_.doors.checks->run(ctx, file.contract, scope));
  contracts.push(std::move(about));
  for (const quality::Finding& f : report.findings) {
    Json j = Json::object({{"contract", file.path},
                           {"check", f.check},
                           {"severity", f.severity},
                           {"result", f.result},
                           {"expected", f.expected},
                           {"observed", f.observed},
                           {"observed_text", f.observed_text},
                           {"failing_rows", f.failing_rows},
                           {"partition", f.partition},
                           {"object", f.object}});
    if (!f.sample_rows.is_null()) j.set("sample_rows", f.sample_rows);
    if (!f.missing_keys.is_null()) j.set("missing_keys", f.missing_keys);
    findings.push(std::move(j));
  }
  return {};
}

Result<Json> Checks::subscribers_of(const Context& ctx, const std::string& repository, const ContractFile& file) {
  Json names = Json::array();
  TRY_LET(const auto index, world_.records.find(ctx, keys::repository(repository)));
  if (!index) return names;
  const std::string product = index->json["domain"].as_string() + "/" + index->json["name"].as_string();
  TRY_LET(const auto subscriptions, world_.records.list(ctx, keys::kSubscriptions));
  for (const auto& [key, subscription] : subscriptions) {
    const Json& s = subscription.json;
    if (s["product"].as_string() == product && s["port"].as_string() == file.name &&
        s["major"].as_int() == file.major && s["state"].as_string() != "ended")
      names.push(s["consumer"]);
  }
  return names;
}

Result<void> Checks::check_definitions(const Context& ctx, const versioning::Repository& repository,
                                       const Definitions& before,
                                       const Result<std::shared_ptr<const Definitions>>& after,
                                       const std::vector<tree::Change>& changes, const Proposer& proposer,
                                       Json& findings, Json& contract_changes) {
  bool touches_definitions = false, touches_locks = false;
  for (const tree::Change& change : changes) {
    if (!has_prefix(change.key, "_mesh/")) continue;
    if (has_prefix(change.key, "_mesh/lock/"))
      touches_locks = true;
    else
      touches_definitions = true;
  }
  if (touches_locks && !proposer.is_server)
    findings.push(finding("lock-files", "failed", "lock files are written by onboarding alone",
                          "the change touches _mesh/lock/"));
  if (!touches_definitions) return {};
  if (!proposer.is_server)
    if (const auto allowed = world_.need_owner(ctx, proposer.actor, repository.name); !allowed) {
      if (allowed.error().code() != Code::kForbidden) return allowed.error();
      findings.push(finding("definitions-owner", "failed", "changes below _mesh/ need the product's owner",
                            allowed.error().message()));
    }
  if (!after) {
    findings.push(
        finding("definitions-valid", "failed", "every file below _mesh/ can be read", after.error().message()));
    return {};
  }
  for (const ContractFile& old : before.contracts) {
    const ContractFile* now = find_path((*after)->contracts, old.path);
    TRY_LET(const Json consumers, subscribers_of(ctx, repository.name, old));
    if (!now) {
      if (!old.retired)
        findings.push(finding("checks-required", "failed",
                              "a contract stays until its line is retired (status: retired, no subscriber left)",
                              fmt::format("{} is removed", old.path)));
      continue;
    }
    if (now->text == old.text) continue;
    const auto diff = quality::diff_contracts(old.contract, now->contract);
    Json list = Json::array();
    std::string reasons;
    for (const auto& change : diff) {
      const bool breaking = change.kind == quality::ChangeClass::kBreaking;
      list.push(
          Json::object({{"path", change.path}, {"class", quality::word_of(change.kind)}, {"reason", change.reason}}));
      if (breaking) reasons += (reasons.empty() ? "" : "; ") + change.path + ": " + change.reason;
    }
    contract_changes.push(Json::object({{"contract", old.path}, {"changes", list}, {"consumers", consumers}}));
    const bool retires = now->retired && !old.retired;
    if (retires && consumers.size() > 0) {
      findings.push(finding("retire-unsubscribed", "failed", "a line ends when no consumer subscribes to it any more",
                            fmt::format("{} is still read by {}", old.path, consumers.dump())));
    } else if (!reasons.empty() && !retires && !old.retired) {
      findings.push(finding("contract.breaking", "failed",
                            "a breaking change needs a new major: add " + old.name + "@<major>.odcs.yaml",
                            fmt::format("{} ({}); consumers: {}", reasons, old.path, consumers.dump())));
    }
  }
  // A new major beside an old one: allowed, and its differences are named for the consumers.
  for (const ContractFile& fresh : (*after)->contracts) {
    if (find_path(before.contracts, fresh.path)) continue;
    for (const ContractFile& old : before.contracts) {
      if (old.name != fresh.name || old.retired) continue;
      TRY_LET(const Json consumers, subscribers_of(ctx, repository.name, old));
      Json list = Json::array();
      for (const auto& change : quality::diff_contracts(old.contract, fresh.contract))
        list.push(
            Json::object({{"path", change.path}, {"class", quality::word_of(change.kind)}, {"reason", change.reason}}));
      contract_changes.push(
          Json::object({{"contract", fresh.path}, {"beside", old.path}, {"changes", list}, {"consumers", consumers}}));
    }
  }
  for (const std::string& port : before.ports)
    if (!(*after)->is_port(port))
      findings.push(finding("checks-required", "failed", "an output port stays until its line is retired",
                            fmt::format("port '{}' is removed from product.odps.yaml", port)));
  return {};
}

Result<void> Checks::apply_waivers(const Context& ctx, const versioning::Repository& repository,
                                   const versioning::Commit& candidate, const Definitions& definitions,
                                   Json& findings) {
  TRY_LET(const auto waivers, world_.records.list(ctx, keys::waivers(repository.name)));
  TRY_LET(const base::WallMs now, world_.now(ctx));
  for (Json& f : findings.items_mutable()) {
    if (!refuses(f)) continue;
    const ContractFile* file = find_path(definitions.contracts, f["contract"].as_string());
    if (!file) file = find_path(definitions.expectations, f["contract"].as_string());
    if (!file) continue;  // the mesh's own rules cannot be waived
    const std::string partition = f["partition"].as_string();
    const std::string scope =
        partition.empty() ? file->prefix : fmt::format("{}{}={}/", file->prefix, file->partition, partition);
    TRY_LET(const std::string digest, world_.doors.engine.scope_digest(ctx, repository, candidate, scope));
    f.set("scope", scope);
    f.set("scope_digest", digest);
    if (f["result"].as_string() == "error") continue;  // undecided is not a known fault
    for (const auto& [id, waiver] : waivers) {
      const Json& w = waiver.json;
      if (w["check"] != f["check"] || w["contract"] != f["contract"] || w["scope_digest"].as_string() != digest)
        continue;
      if (w["expires_ms"].as_int() <= now) continue;
      f.set("result", "waived");
      f.set("waiver", w["id"]);
      break;
    }
  }
  return {};
}

Result<Tested> Checks::test(const Context& ctx, const versioning::Repository& repository,
                            const versioning::Commit& head, const versioning::Commit& candidate,
                            const std::vector<tree::Change>& changes, const Proposer& proposer) {
  const int64_t started = now_us();
  TRY_LET(const auto before, definitions_.read(ctx, repository, head));
  const auto after = definitions_.read(ctx, repository, candidate);
  const Definitions& at_candidate = after ? **after : *before;

  Tested tested;
  Json findings = Json::array(), contracts = Json::array(), contract_changes = Json::array();
  for (const tree::Change& change : changes) {
    if (proposer.write_scopes.empty()) break;
    const bool inside = std::any_of(proposer.write_scopes.begin(), proposer.write_scopes.end(),
                                    [&](const std::string& scope) { return has_prefix(change.key, scope); });
    if (inside) continue;
    findings.push(finding("write-scope", "failed", "a job writes only below what it declares", change.key));
    break;
  }
  TRY(check_definitions(ctx, repository, *before, after, changes, proposer, findings, contract_changes));

  // Definitions come from the destination; lines that the change adds are tested besides.
  std::vector<const ContractFile*> due;
  for (const ContractFile& f : before->contracts) {
    const ContractFile* now = find_path(at_candidate.contracts, f.path);
    if (!f.retired && !(now && now->retired)) due.push_back(&f);
  }
  for (const ContractFile& f : at_candidate.contracts)
    if (!f.retired && !find_path(before->contracts, f.path)) due.push_back(&f);
  for (const ContractFile& f : before->expectations) due.push_back(&f);
  for (const ContractFile& f : at_candidate.expectations)
    if (!find_path(before->expectations, f.path)) due.push_back(&f);

  for (const ContractFile* file : due) {
    std::set<std::string> partitions = touched_partitions(*file, changes);
    const bool is_new = !find_path(before->contracts, file->path) && !find_path(before->expectations, file->path);
    if (partitions.empty() && is_new) partitions.insert("");  // a new promise is tested on all that is there
    if (partitions.empty()) continue;
    tested.touched[file->prefix] = partitions;
    if (auto unreadable = unreadable_files(*file, changes)) findings.push(std::move(*unreadable));
    // The size of a partition is judged when it comes; a promise that begins later does not judge the old ones.
    std::optional<ContractFile> without_baselines;
    if (is_new && partitions.contains("")) {
      without_baselines = *file;
      for (quality::Schema& schema : without_baselines->contract.schemas)
        for (quality::Rule& rule : schema.rules) rule.baseline.reset();
    }
    const auto run = run_contract(ctx, without_baselines ? *without_baselines : *file, repository, head, candidate,
                                  at_candidate, partitions, findings, contracts);
    if (!run) {
      Json f = finding("engine", "error", "the contract can be tested", run.error().text());
      findings.push(f.set("contract", file->path));
    }
  }
  TRY(apply_waivers(ctx, repository, candidate, at_candidate, findings));

  tested.clean = true;
  bool rules_hold = true;
  for (const Json& f : findings.items()) {
    if (!refuses(f)) continue;
    tested.clean = false;
    if (f["contract"].as_string().empty()) rules_hold = false;
  }
  tested.passed = proposer.reports_only ? rules_hold : tested.clean;
  tested.checks_us = now_us() - started;
  tested.report = Json::object({{"passed", tested.passed},
                                {"repository", repository.name},
                                {"base", head.id.hex()},
                                {"candidate", candidate.id.hex()},
                                {"definitions", before->digest},
                                {"contracts", contracts},
                                {"findings", findings}});
  if (contract_changes.size() > 0) tested.report.set("contract_changes", contract_changes);
  tested.digest = base::sha256_hex(tested.report.dump());
  tested.report.set("digest", tested.digest);
  tested.report.set("checks_us", tested.checks_us);
  return tested;
}

Result<Json> Checks::dry_run(const Context& ctx, const versioning::Repository& producer, const versioning::Commit& at,
                             const std::string& port_prefix, const std::set<std::string>& partitions,
                             const versioning::Repository& consumer, const versioning::Commit& consumer_at,
                             const ContractFile& expectation) {
  if (!world_.doors.checks)
    return Error(Code::kUnavailable, "checks", "contracts cannot be tested: " + world_.doors.checks_missing);
  TRY_LET(const auto definitions, definitions_.read(ctx, consumer, consumer_at));
  TRY_LET(const TableFiles files, files_of(ctx, producer, at, port_prefix));
  quality::CheckScope scope;
  scope.changed =
      table(ctx, expectation.contract.schemas.front().name, files, expectation.partition, port_prefix, partitions);
  for (auto& object : scope.changed.objects) object.path = expectation.prefix + object.path.substr(port_prefix.size());
  TRY_LET(scope.references, references(ctx, expectation, consumer, consumer_at, *definitions, partitions));
  TRY_LET(const base::WallMs now, world_.now(ctx));
  scope.now_rfc3339 = base::rfc3339(now);
  TRY_LET(const quality::Report report, world_.doors.checks->run(ctx, expectation.contract, scope));
  return report.to_json();
}

}  // namespace tarn::mesh
