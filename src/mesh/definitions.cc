#include "mesh/definitions.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/core.h>

#include "base/yaml.h"

namespace tarn::mesh {
namespace {

constexpr std::string_view kContracts = "_mesh/contracts/";
constexpr std::string_view kExpectations = "_mesh/expectations/";
constexpr std::string_view kPipelines = "_mesh/pipelines/";
constexpr std::string_view kLocks = "_mesh/lock/";
constexpr std::string_view kContractEnding = ".odcs.yaml";
constexpr size_t kCacheMax = 64;

Error invalid(const std::string& path, std::string_view message) {
  return Error(Code::kInvalid, "definition", fmt::format("{}: {}", path, message));
}

std::vector<std::string> words(const Json& json) {
  std::vector<std::string> out;
  if (json.is_string()) out.push_back(json.as_string());
  for (const Json& item : json.items()) out.push_back(item.as_string());
  return out;
}

/// Every NAME of "${reference.NAME}" in the text.
std::vector<std::string> references_in(std::string_view text) {
  static constexpr std::string_view kOpen = "${reference.";
  std::set<std::string> names;
  for (size_t at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen, at + 1)) {
    const size_t end = text.find('}', at);
    if (end != std::string_view::npos) names.emplace(text.substr(at + kOpen.size(), end - at - kOpen.size()));
  }
  return {names.begin(), names.end()};
}

Result<ContractFile> parse_contract_file(const std::string& path, std::string_view folder, std::string text) {
  ContractFile file;
  file.path = path;
  file.name = path.substr(folder.size(), path.size() - folder.size() - kContractEnding.size());
  if (const size_t at = file.name.find('@'); at != std::string::npos) {
    const std::string_view major = std::string_view(file.name).substr(at + 1);
    const auto r = std::from_chars(major.data(), major.data() + major.size(), file.major);
    if (r.ec != std::errc() || r.ptr != major.data() + major.size() || file.major < 1)
      return invalid(path, "the file name must be <port>.odcs.yaml or <port>@<major>.odcs.yaml");
    file.name.resize(at);
  }
  file.references = references_in(text);
  TRY_LET(file.contract, quality::parse_contract(path, text));
  if (file.contract.schemas.size() != 1)
    return invalid(path, "exactly one table (schema) is expected: put each table in a contract of its own");
  const quality::Schema& schema = file.contract.schemas.front();
  file.prefix = schema.physical_name;
  file.partition = schema.partition;
  if (file.prefix.empty() || file.prefix.back() != '/')
    return invalid(path, "schema[0].physicalName must be the table's folder in the repository, ending in '/'");
  file.retired = file.contract.status == "retired";
  file.text = std::move(text);
  return file;
}

bool has_prefix(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }
bool has_suffix(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

Result<void> read_product(const std::string& path, const Json& document, Definitions& into) {
  if (document["kind"].as_string() != "DataProduct") return invalid(path, "kind must be DataProduct (Bitol ODPS v1)");
  for (const Json& port : document["outputPorts"].items()) {
    if (port["name"].as_string().empty()) return invalid(path, "every output port needs a name");
    into.ports.push_back(port["name"].as_string());
  }
  into.product = document;
  return {};
}

}  // namespace

const PipelineJob* Pipeline::find(std::string_view job) const {
  for (const PipelineJob& j : jobs)
    if (j.name == job) return &j;
  return nullptr;
}

bool Definitions::is_port(std::string_view name) const {
  return std::find(ports.begin(), ports.end(), name) != ports.end();
}

const Input* Definitions::input(std::string_view name) const {
  for (const Input& i : inputs)
    if (i.name == name) return &i;
  return nullptr;
}

const Pipeline* Definitions::pipeline(std::string_view name) const {
  for (const Pipeline& p : pipelines)
    if (p.name == name) return &p;
  return nullptr;
}

Result<PortName> parse_port_name(std::string_view text) {
  PortName name;
  const size_t colon = text.find(':');
  const size_t slash = text.find('/');
  if (colon == std::string_view::npos || slash == std::string_view::npos || slash > colon)
    return Error(Code::kInvalid, "port",
                 fmt::format("'{}' is no port: write domain/product:port@major, as weather/hourly:hourly@1", text));
  name.product = text.substr(0, colon);
  std::string_view rest = text.substr(colon + 1);
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    const std::string_view major = rest.substr(at + 1);
    const auto r = std::from_chars(major.data(), major.data() + major.size(), name.major);
    if (r.ec != std::errc() || r.ptr != major.data() + major.size() || name.major < 1)
      return Error(Code::kInvalid, "port", fmt::format("'{}': the major version must be a whole number", text));
    rest = rest.substr(0, at);
  }
  name.port = rest;
  return name;
}

Result<std::vector<Input>> parse_inputs(const std::string& path, const Json& document) {
  std::vector<Input> inputs;
  static const std::set<std::string> kKnown = {"from", "branch", "path",       "partition",
                                               "mode", "onFail", "onWithdraw", "expectations"};
  for (const auto& [name, node] : document["inputs"].members()) {
    for (const auto& [key, value] : node.members())
      if (!kKnown.contains(key)) return invalid(path, fmt::format("input '{}': unknown key '{}'", name, key));
    Input input;
    input.name = name;
    input.branch = node["branch"].as_string();
    input.path = node["path"].as_string();
    input.partition = node["partition"].as_string();
    input.mode = node["mode"].is_string() ? node["mode"].as_string() : "auto";
    input.on_fail = node["onFail"].is_string() ? node["onFail"].as_string() : "hold";
    input.on_withdraw = node["onWithdraw"].is_string() ? node["onWithdraw"].as_string() : "freeze";
    if (input.branch.empty()) input.branch = "ingest--" + name;
    TRY(versioning::check_branch_name(input.branch));
    if (input.path.empty() || input.path.back() != '/')
      return invalid(path, fmt::format("input '{}': path must be a folder ending in '/'", name));
    static const std::set<std::string> kModes = {"auto", "every", "manual", "pinned"};
    if (!kModes.contains(input.mode))
      return invalid(path,
                     fmt::format("input '{}': mode '{}' is not one of auto, every, manual, pinned", name, input.mode));
    const std::string from = node["from"].as_string();
    if (from.empty()) return invalid(path, fmt::format("input '{}': from is missing", name));
    if (from.find(':') != std::string::npos && !has_prefix(from, "local:")) {
      TRY_LET(const PortName port, parse_port_name(from));
      input.product = port.product;
      input.port = port.port;
      input.major = port.major;
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

std::string with_run_key(std::string_view scope, std::string_view run_key) {
  std::string out(scope);
  static constexpr std::string_view kPlace = "{run_key}";
  for (size_t at = out.find(kPlace); at != std::string::npos; at = out.find(kPlace, at + run_key.size()))
    out.replace(at, kPlace.size(), run_key);
  return out;
}

std::optional<std::string> partition_of(std::string_view path, std::string_view prefix, std::string_view partition) {
  if (partition.empty() || !has_prefix(path, prefix)) return std::nullopt;
  std::string_view rest = path.substr(prefix.size());
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::string_view segment = rest.substr(0, slash);
    if (has_prefix(segment, partition) && segment.size() > partition.size() && segment[partition.size()] == '=')
      return std::string(segment.substr(partition.size() + 1));
    rest = rest.substr(slash + 1);
  }
  return std::nullopt;
}

Result<Pipeline> parse_pipeline(const std::string& path, const Json& document) {
  Pipeline pipeline;
  pipeline.name = document["pipeline"].as_string();
  if (pipeline.name.empty()) return invalid(path, "pipeline: <name> is missing");
  const Json& trigger = document["trigger"];
  pipeline.on_inputs = words(trigger["onInputs"]);
  pipeline.partition = trigger["partition"].as_string();
  const std::string isolation = document["isolation"].as_string();
  if (!isolation.empty() && isolation != "serializable" && isolation != "snapshot")
    return invalid(path, "isolation must be serializable or snapshot");
  pipeline.serializable = isolation != "snapshot";
  std::vector<PipelineJob> waiting;
  for (const auto& [name, node] : document["jobs"].members()) {
    PipelineJob job{name, words(node["after"]), words(node["reads"]), words(node["writes"]), words(node["checks"])};
    if (job.writes.empty()) return invalid(path, fmt::format("job '{}' declares no writes", name));
    for (const std::string& scope : job.writes)
      if (scope.empty() || scope.back() != '/')
        return invalid(path, fmt::format("job '{}': '{}' must be a folder ending in '/'", name, scope));
    waiting.push_back(std::move(job));
  }
  if (waiting.empty()) return invalid(path, "jobs are missing");
  // Topological order; what is left at the end waits for itself or for a job that does not exist.
  std::map<std::string, std::set<std::string>> above;  // job -> every job before it
  while (!waiting.empty()) {
    const auto next = std::find_if(waiting.begin(), waiting.end(), [&](const PipelineJob& job) {
      return std::all_of(job.after.begin(), job.after.end(), [&](const std::string& a) { return above.contains(a); });
    });
    if (next == waiting.end())
      return invalid(path,
                     fmt::format("job '{}' waits for a job that does not exist, or for itself", waiting.front().name));
    auto& set = above[next->name];
    for (const std::string& a : next->after) {
      set.insert(a);
      set.insert(above[a].begin(), above[a].end());
    }
    pipeline.jobs.push_back(std::move(*next));
    waiting.erase(next);
  }
  // Jobs with no path between them must not write to the same place: then their merges cannot conflict in any order.
  for (const PipelineJob& a : pipeline.jobs)
    for (const PipelineJob& b : pipeline.jobs) {
      if (a.name >= b.name || above[a.name].contains(b.name) || above[b.name].contains(a.name)) continue;
      for (const std::string& x : a.writes)
        for (const std::string& y : b.writes)
          if (has_prefix(x, y) || has_prefix(y, x))
            return invalid(path, fmt::format("jobs '{}' and '{}' may run side by side and both write '{}': give them "
                                             "disjoint folders or an order",
                                             a.name, b.name, x.size() > y.size() ? x : y));
    }
  return pipeline;
}

Result<void> add_definition(const std::string& path, std::string text, Definitions& into) {
  if (text.size() > (1 << 20)) return invalid(path, "a definition may be at most 1 MiB");
  if (has_prefix(path, kContracts) && has_suffix(path, kContractEnding)) {
    TRY_LET(ContractFile file, parse_contract_file(path, kContracts, std::move(text)));
    into.contracts.push_back(std::move(file));
    return {};
  }
  if (has_prefix(path, kExpectations) && has_suffix(path, kContractEnding)) {
    TRY_LET(ContractFile file, parse_contract_file(path, kExpectations, std::move(text)));
    into.expectations.push_back(std::move(file));
    return {};
  }
  if (!has_suffix(path, ".yaml") || has_prefix(path, kLocks)) return {};
  const auto document = base::parse_yaml(text);
  if (!document) return invalid(path, document.error().message());
  if (path == "_mesh/product.odps.yaml") TRY(read_product(path, *document, into));
  if (path == "_mesh/inputs.yaml") {
    TRY_LET(into.inputs, parse_inputs(path, *document));
  }
  if (has_prefix(path, kPipelines)) {
    TRY_LET(Pipeline pipeline, parse_pipeline(path, *document));
    into.pipelines.push_back(std::move(pipeline));
  }
  if (path == "_mesh/exports.yaml") into.exports = (*document)["exports"];
  if (path == "_mesh/environments.yaml") into.environments = (*document)["environments"];
  return {};
}

Result<std::shared_ptr<const Definitions>> DefinitionReader::read(const Context& ctx,
                                                                  const versioning::Repository& repository,
                                                                  const versioning::Commit& at) {
  std::vector<std::pair<std::string, tree::Entry>> files;
  base::Hasher hasher(base::Algorithm::kSha256);
  TRY(world_.doors.engine.walk(ctx, repository, at, "_mesh/", [&](const std::string& path, const tree::Entry& entry) {
    if (has_prefix(path, kLocks)) return Result<void>();
    files.emplace_back(path, entry);
    hasher.update(path + '\0' + entry.etag.text() + '\0');
    return Result<void>();
  }));
  const std::string digest = base::to_hex(hasher.finish());
  {
    base::Lock lock(mutex_);
    if (const auto found = cache_.find(digest); found != cache_.end()) return found->second;
  }
  auto read = std::make_shared<Definitions>();
  read->digest = digest;
  for (const auto& [path, entry] : files) {
    TRY_LET(std::string text, world_.doors.catalog.read_entry(ctx, repository, entry));
    TRY(add_definition(path, std::move(text), *read));
  }
  base::Lock lock(mutex_);
  if (cache_.size() >= kCacheMax) cache_.erase(cache_.begin());
  cache_[digest] = read;
  return std::shared_ptr<const Definitions>(read);
}

}  // namespace tarn::mesh
