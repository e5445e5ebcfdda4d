#pragma once
// What a product promises and expects, read from `_mesh/` at one commit.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mesh/world.h"
#include "quality/contract.h"

namespace tarn::mesh {

/// A contract or an expectation in `_mesh/`.
struct ContractFile {
  std::string path;  ///< "_mesh/contracts/hourly@2.odcs.yaml"
  std::string name;  ///< "hourly": of a port, a stage or an input
  int major = 1;
  std::string text;
  quality::Contract contract;
  std::string prefix;     ///< where its table lies: "weather/"
  std::string partition;  ///< Hive key, "date"; empty when the table has no partitions
  bool retired = false;
  std::vector<std::string> references;  ///< input tables that its rules name
};

/// A consumed port, or an outside source (`product` empty).
struct Input {
  std::string name, product, port;
  int major = 1;
  std::string branch, path, partition, mode, on_fail, on_withdraw;
};

struct PipelineJob {
  std::string name;
  std::vector<std::string> after, reads, writes, checks;  ///< "{run_key}" stands for the run's key
};

struct Pipeline {
  std::string name;
  std::vector<std::string> on_inputs;
  std::string partition;
  bool serializable = true;
  std::vector<PipelineJob> jobs;  ///< in an order that respects `after`
  const PipelineJob* find(std::string_view job) const;
};

struct Definitions {
  Json product;                         ///< product.odps.yaml; null when there is none
  std::vector<std::string> ports;       ///< output ports, in the order of the product file
  std::vector<ContractFile> contracts;  ///< by path
  std::vector<ContractFile> expectations;
  std::vector<Input> inputs;
  std::vector<Pipeline> pipelines;
  Json exports, environments;
  std::string digest;  ///< over path and checksum of every file but the lock files

  bool is_port(std::string_view name) const;
  const Input* input(std::string_view name) const;
  const Pipeline* pipeline(std::string_view name) const;
};

/// Reads definitions; the last few are kept, by digest. Threads: any.
class DefinitionReader {
 public:
  explicit DefinitionReader(World& world) : world_(world) {}
  /// Errors: kInvalid naming file, place and cure.
  Result<std::shared_ptr<const Definitions>> read(const Context& ctx, const versioning::Repository& repository,
                                                  const versioning::Commit& at);

 private:
  World& world_;
  base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const Definitions>> cache_;
};

/// "weather/hourly:hourly@2" -> product "weather/hourly", port "hourly", major 2. Errors: kInvalid.
struct PortName {
  std::string product, port;
  int major = 1;
};
Result<PortName> parse_port_name(std::string_view text);

/// Reads one file below `_mesh/` into `into`. Errors: kInvalid naming the file, the place and the cure.
Result<void> add_definition(const std::string& path, std::string text, Definitions& into);

/// The pieces below, for tests. Errors: kInvalid.
Result<std::vector<Input>> parse_inputs(const std::string& path, const Json& document);
Result<Pipeline> parse_pipeline(const std::string& path, const Json& document);
/// "{run_key}" replaced.
std::string with_run_key(std::string_view scope, std::string_view run_key);
/// The partition a path lies in ("2013-10-25" for "weather/date=2013-10-25/x"), below `prefix`; nullopt when in none.
std::optional<std::string> partition_of(std::string_view path, std::string_view prefix, std::string_view partition);

}  // namespace tarn::mesh
