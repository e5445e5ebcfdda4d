#include "mesh/records.h"

#include <fmt/core.h>

namespace tarn::mesh {

Result<std::optional<Record>> Records::find(const Context& ctx, std::string_view key) const {
  TRY_LET(const auto row, store_.get(ctx, key));
  if (!row) return std::optional<Record>();
  TRY_LET(Json json, kv::decode_record(row->value, key));
  return std::optional<Record>(Record{std::move(json), row->version});
}

Result<Record> Records::get(const Context& ctx, std::string_view key, std::string_view subject,
                            std::string_view name) const {
  TRY_LET(auto found, find(ctx, key));
  if (!found) return Error(Code::kNotFound, std::string(subject), fmt::format("there is no {} '{}'", subject, name));
  return std::move(*found);
}

Result<std::vector<std::pair<std::string, Record>>> Records::list(const Context& ctx, std::string_view prefix) const {
  std::vector<std::pair<std::string, Record>> records;
  const auto rows = store_.scan(ctx, prefix);
  while (true) {
    TRY_LET(auto row, rows->next());
    if (!row) return records;
    TRY_LET(Json json, kv::decode_record(row->row.value, row->key));
    records.emplace_back(row->key.substr(prefix.size()), Record{std::move(json), row->row.version});
  }
}

void put_if(kv::Batch& batch, const std::string& key, const Json& json, kv::Sequence version) {
  if (version == 0)
    batch.require_absent(key);
  else
    batch.require_version(key, version);
  put(batch, key, json);
}

std::string padded(int64_t number) { return fmt::format("{:010}", number); }

namespace keys {

std::string domain(std::string_view name) { return fmt::format("mesh/domain/{}", name); }
std::string product(std::string_view domain, std::string_view name) {
  return fmt::format("mesh/product/{}/{}", domain, name);
}
std::string repository(std::string_view repository) { return fmt::format("mesh/repository/{}", repository); }
std::string proposal(std::string_view id) { return fmt::format("mesh/proposal/{}", id); }
std::string proposal_of(std::string_view repository, std::string_view commit, std::string_view user,
                        std::string_view destination) {
  return fmt::format("mesh/proposal-of/{}/{}/{}/{}", repository, commit, user, destination);
}
std::string gate_record(std::string_view repository, std::string_view commit) {
  return fmt::format("mesh/gate/{}/{}", repository, commit);
}
std::string report(std::string_view digest) { return fmt::format("mesh/report/{}", digest); }
std::string publications(std::string_view repository, std::string_view port, int64_t major) {
  return fmt::format("mesh/publication/{}/{}@{}/", repository, port, major);
}
std::string publication(std::string_view repository, std::string_view port, int64_t major, int64_t number) {
  return publications(repository, port, major) + padded(number);
}
std::string publication_head(std::string_view repository, std::string_view port, int64_t major) {
  return fmt::format("mesh/publication-head/{}/{}@{}", repository, port, major);
}
std::string incident(int64_t number) { return fmt::format("mesh/incident/{}", padded(number)); }
std::string delivery(int64_t incident, std::string_view channel) {
  return fmt::format("mesh/delivery/{}/{}", padded(incident), channel);
}
std::string channel(std::string_view name) { return fmt::format("mesh/channel/{}", name); }
std::string subscription(std::string_view consumer, std::string_view input) {
  return fmt::format("mesh/subscription/{}/{}", consumer, input);
}
std::string rollback(std::string_view consumer, std::string_view input, std::string_view commit) {
  return fmt::format("mesh/rollback/{}/{}/{}", consumer, input, commit);
}
std::string waivers(std::string_view repository) { return fmt::format("mesh/waiver/{}/", repository); }
std::string runs(std::string_view repository, std::string_view pipeline) {
  return fmt::format("mesh/run/{}/{}/", repository, pipeline);
}
std::string run(std::string_view repository, std::string_view pipeline, std::string_view key) {
  return runs(repository, pipeline) + std::string(key);
}
std::string attempt(std::string_view id) { return fmt::format("mesh/attempt/{}", id); }
std::string environments(std::string_view repository) { return fmt::format("mesh/environment/{}/", repository); }
std::string environment(std::string_view repository, std::string_view name) {
  return environments(repository) + std::string(name);
}
std::string experiments(std::string_view repository) { return fmt::format("mesh/experiment/{}/", repository); }
std::string experiment(std::string_view repository, std::string_view name) {
  return experiments(repository) + std::string(name);
}
std::string exports(std::string_view repository) { return fmt::format("mesh/export/{}/", repository); }
std::string export_state(std::string_view repository, std::string_view name) {
  return exports(repository) + std::string(name);
}
std::string monitor(std::string_view repository, std::string_view port, int64_t major) {
  return fmt::format("mesh/monitor/{}/{}@{}", repository, port, major);
}
std::string beat(std::string_view attempt) { return std::string(kBeats).append(attempt); }
std::string run_branches(std::string_view repository) { return fmt::format("mesh/run-branches/{}/", repository); }
std::string run_branches(std::string_view repository, int64_t wall_ms, std::string_view pipeline, std::string_view key,
                         int64_t generation) {
  return fmt::format("{}{:016}/{}/{}/{}", run_branches(repository), wall_ms, pipeline, key, generation);
}

}  // namespace keys
}  // namespace tarn::mesh
