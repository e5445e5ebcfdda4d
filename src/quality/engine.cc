#include "quality/engine.h"

#include <fmt/core.h>

#include "quality/checks.h"
#include "quality/runner.h"
#include "quality/session.h"

namespace tarn::quality {
namespace {

constexpr size_t kFootersMax = 50'000;

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(PoolOptions options, base::Clock& clock) {
  std::unique_ptr<Engine> engine(new Engine(std::move(options), clock));
  // One worker at once: a missing library is told at the start, and the first gate is warm.
  TRY_LET(auto session, Session::open(engine->pool_, Context()));
  engine->version_ = session->version();
  return engine;
}

std::optional<Footer> Engine::find_footer(const std::string& checksum) {
  base::Lock lock(mutex_);
  const auto found = footers_.find(checksum);
  if (found == footers_.end()) return std::nullopt;
  return found->second;
}

void Engine::keep_footer(const std::string& checksum, const Footer& footer) {
  base::Lock lock(mutex_);
  if (footers_.size() >= kFootersMax) footers_.clear();
  footers_[checksum] = footer;
}

Result<Report> Engine::run(const Context& ctx, const Contract& contract, const CheckScope& scope) {
  TRY_LET(const Schema* schema, contract.schema(scope.changed.name));
  return Runner(*this, ctx, contract, *schema, scope).run();
}

Result<TableProfile> Engine::profile(const Context& ctx, const std::vector<ObjectBytes>& objects) {
  TableProfile out;
  if (objects.empty()) return out;
  TRY_LET(const auto session, Session::open(pool_, ctx));
  std::vector<TableObject> list;
  for (const ObjectBytes& object : objects) list.push_back({&object, ""});
  TRY(session->define_objects("tarn_profile", list, "", true, false));
  TRY_LET(const Rows columns,
          session->query("DESCRIBE SELECT * EXCLUDE (tarn_object, tarn_partition, tarn_row) FROM tarn_profile", false,
                         100'000));
  std::string sql = "SELECT count(*)";
  for (const Json::Array& row : columns.rows) {
    const std::string c = quote_name(row[0].as_string());
    sql += fmt::format(", count(*) - count({}), count(DISTINCT {}), min({}), max({})", c, c, c, c);
    out.columns.push_back({row[0].as_string(), row[1].as_string()});
  }
  TRY_LET(const Rows rows, session->query(sql + " FROM tarn_profile"));
  const Json::Array& r = rows.rows.at(0);
  out.rows = r[0].as_int();
  for (size_t i = 0; i < out.columns.size(); ++i) {
    ColumnProfile& c = out.columns[i];
    c.nulls = r[1 + 4 * i].as_int();
    c.distinct = r[2 + 4 * i].as_int();
    c.minimum = r[3 + 4 * i];
    c.maximum = r[4 + 4 * i];
  }
  return out;
}

Json TableProfile::to_json() const {
  Json list = Json::array();
  for (const ColumnProfile& c : columns)
    list.push(Json::object({{"name", c.name},
                            {"type", c.type},
                            {"nulls", c.nulls},
                            {"distinct", c.distinct},
                            {"min", c.minimum},
                            {"max", c.maximum}}));
  return Json::object({{"rows", rows}, {"columns", std::move(list)}});
}

Result<Json> Engine::query(const Context& ctx, const std::string& sql, const std::vector<Table>& tables,
                           int64_t rows_max) {
  TRY_LET(const auto session, Session::open(pool_, ctx));
  for (const Table& table : tables) {
    if (table.objects.empty())
      return Error(Code::kInvalid, "table",
                   fmt::format("table '{}' has no objects, so its columns are not known", table.name));
    std::vector<TableObject> list;
    for (const ObjectBytes& object : table.objects) list.push_back({&object, ""});
    const std::string raw = "tarn_raw_" + table.name;
    TRY(session->define_objects(raw, list, "", true, false));
    TRY(session->define(
        fmt::format("CREATE TEMP VIEW {} AS SELECT * EXCLUDE (tarn_object, tarn_partition, tarn_row) FROM {}",
                    quote_name(table.name), quote_name(raw))));
  }
  TRY_LET(const Rows rows, session->query(sql, true, rows_max));
  Json names = Json::array(), list = Json::array();
  for (const std::string& name : rows.columns) names.push(name);
  for (const Json::Array& row : rows.rows) list.push(Json(row));
  return Json::object({{"columns", std::move(names)}, {"rows", std::move(list)}, {"more", rows.more}});
}

}  // namespace tarn::quality
