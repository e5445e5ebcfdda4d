#include "mesh/world.h"

#include <fmt/core.h>

#include "base/ids.h"

namespace tarn::mesh {

NamedLocks::Held::Held(NamedLocks& locks, std::string name) : locks_(locks), name_(std::move(name)) {
  base::Lock lock(locks_.mutex_);
  Line& line = locks_.lines_[name_];
  const uint64_t ticket = line.next_ticket++;
  locks_.turn_.wait(lock, [&] { return locks_.lines_[name_].serving == ticket; });
}

NamedLocks::Held::~Held() {
  {
    base::Lock lock(locks_.mutex_);
    Line& line = locks_.lines_[name_];
    if (++line.serving == line.next_ticket) locks_.lines_.erase(name_);
  }
  locks_.turn_.notify_all();
}

Result<base::WallMs> World::now(const Context& ctx) const {
  TRY_LET(const auto set, records.find(ctx, keys::kClock));
  if (set && set->json["at_ms"].is_int()) return set->json["at_ms"].as_int();
  return doors.clock.wall_ms();
}

Result<bool> World::clock_is_set(const Context& ctx) const {
  TRY_LET(const auto set, records.find(ctx, keys::kClock));
  return set && set->json["at_ms"].is_int();
}

Result<void> World::set_clock(const Context& ctx, std::optional<base::WallMs> at) {
  kv::Batch batch;
  if (at)
    put(batch, std::string(keys::kClock), Json::object({{"at_ms", *at}}));
  else
    batch.erase(std::string(keys::kClock));
  TRY(records.store().apply(ctx, batch));
  return {};
}

void World::add_event(kv::Batch& batch, std::string_view type, std::string_view subject, Json data) const {
  const std::string id = base::uuid7(doors.clock, doors.random);
  put(batch, std::string(keys::kEvents) + id,
      Json::object({{"id", id},
                    {"specversion", "1.0"},
                    {"type", type},
                    {"source", fmt::format("mesh://{}", subject)},
                    {"time", base::rfc3339(doors.clock.wall_ms())},
                    {"data", std::move(data)}}));
}

Result<Record> World::product_of(const Context& ctx, std::string_view repository) const {
  TRY_LET(const auto index, records.find(ctx, keys::repository(repository)));
  if (!index)
    return Error(
        Code::kNotFound, "product",
        fmt::format("repository '{}' holds no data product: create one with 'tarn mesh product create'", repository));
  return records.get(ctx, keys::product(index->json["domain"].as_string(), index->json["name"].as_string()), "product",
                     index->json["name"].as_string());
}

Result<void> World::need_owner(const Context& ctx, const Actor& actor, std::string_view repository) const {
  if (actor.administrator) return {};
  TRY_LET(const Record product, product_of(ctx, repository));
  if (product.json["owner"].as_string() == actor.user) return {};
  return Error(
      Code::kForbidden, "product",
      fmt::format("only the owner '{}' of {}/{} or an administrator may do this", product.json["owner"].as_string(),
                  product.json["domain"].as_string(), product.json["name"].as_string()));
}

}  // namespace tarn::mesh
