#include "quality/session.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "quality/checks.h"

namespace tarn::quality {
namespace {

bool is_date(const std::string& text) { return text.size() == 10 && base::parse_rfc3339(text).has_value(); }

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      if (const auto byte = base::from_hex(text.substr(i + 1, 2))) {
        out += *byte;
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace

std::string partition_of(std::string_view path, std::string_view key) {
  if (key.empty()) return "";
  for (size_t from = 0; from < path.size();) {
    size_t end = path.find('/', from);
    if (end == std::string_view::npos) break;  // the last part is the file's own name
    const std::string_view part = path.substr(from, end - from);
    if (part.size() > key.size() && part.starts_with(key) && part[key.size()] == '=')
      return percent_decoded(part.substr(key.size() + 1));
    from = end + 1;
  }
  return "";
}

Result<std::unique_ptr<Session>> Session::open(WorkerPool& pool, const Context& ctx) {
  std::unique_ptr<Session> session(new Session(pool, ctx));
  TRY_LET(session->worker_, pool.take(ctx));
  session->taken_ = true;
  auto begun = session->worker_->begin();
  if (!begun) TRY(session->revive());
  return session;
}

Session::~Session() {
  if (taken_) pool_.give_back(std::move(worker_));
}

Result<void> Session::revive() {
  TRY_LET(worker_, pool_.replace(std::move(worker_)));
  TRY(worker_->begin());
  granted_.clear();
  names_.clear();
  reviving_ = true;
  for (size_t i = 0; i < definitions_.size(); ++i) {
    auto done = definitions_[i](*this);
    if (!done) {
      reviving_ = false;
      return done.error();
    }
  }
  reviving_ = false;
  return {};
}

Result<void> Session::keep(Definition definition) {
  TRY(definition(*this));
  definitions_.push_back(std::move(definition));
  return {};
}

Result<std::vector<std::string>> Session::paths(const std::vector<const ObjectBytes*>& objects) {
  if (!worker_ || (!worker_->alive() && !reviving_)) TRY(revive());
  // Two objects of equal content in one table need two paths, since rows are told apart by their path.
  std::map<std::string, int> times;
  std::vector<std::string> keys;
  std::vector<std::string> new_keys;
  std::vector<const ObjectBytes*> fresh;
  for (const ObjectBytes* object : objects) {
    keys.push_back(fmt::format("{}#{}", object->checksum, times[object->checksum]++));
    if (granted_.contains(keys.back())) continue;
    new_keys.push_back(keys.back());
    fresh.push_back(object);
  }
  if (!fresh.empty()) {
    TRY_LET(const auto added, worker_->grant(fresh));
    for (size_t i = 0; i < fresh.size(); ++i) {
      granted_[new_keys[i]] = added[i];
      names_[added[i]] = fresh[i]->path;
    }
  }
  std::vector<std::string> out;
  for (const std::string& key : keys) out.push_back(granted_.at(key));
  return out;
}

Result<Rows> Session::query(const std::string& sql, bool user, int64_t rows_max) {
  if (!worker_ || (!worker_->alive() && !reviving_)) TRY(revive());
  auto rows = worker_->query(ctx_, sql, user, rows_max);
  if (!rows && rows.error().code() == Code::kInvalid)
    return Error(Code::kInvalid, "query", readable(rows.error().message()));
  return rows;
}

Result<void> Session::define(const std::string& sql) {
  return keep([sql](Session& self) -> Result<void> {
    TRY(self.query(sql));
    return {};
  });
}

Result<void> Session::define_objects(const std::string& name, const std::vector<TableObject>& objects,
                                     const std::string& hive_key, bool hive_is_column, bool copy) {
  if (objects.empty()) return Error(Code::kInvalid, "table", "a table without objects has no columns");
  const bool dates = std::ranges::all_of(objects, [](const TableObject& o) { return is_date(o.partition); });
  const bool add_hive = !hive_key.empty() && !hive_is_column;
  return keep([=](Session& self) -> Result<void> {
    std::vector<const ObjectBytes*> bytes;
    for (const TableObject& o : objects) bytes.push_back(o.bytes);
    TRY_LET(const std::vector<std::string> paths, self.paths(bytes));
    std::string files, values;
    for (size_t i = 0; i < paths.size(); ++i) {
      files += fmt::format("{}{}", i ? ", " : "", quote_text(paths[i]));
      values += fmt::format("{}({}, {}, {})", i ? ", " : "", quote_text(paths[i]), i, quote_text(objects[i].partition));
    }
    std::string hive;
    if (add_hive) hive = fmt::format(", CAST(o.part AS {}) AS {}", dates ? "DATE" : "VARCHAR", quote_name(hive_key));
    const std::string kind = copy ? "TABLE" : "VIEW";
    const std::string options = "union_by_name = true, file_row_number = true, hive_partitioning = false";
    std::string sql;
    if (paths.size() == 1) {
      sql = fmt::format(
          "CREATE TEMP {} {} AS SELECT p.* EXCLUDE (file_row_number){}, 0 AS tarn_object, o.part AS tarn_partition, "
          "file_row_number AS tarn_row FROM read_parquet([{}], {}) p, (SELECT {} AS part) o",
          kind, quote_name(name), hive, files, options, quote_text(objects[0].partition));
    } else {
      sql = fmt::format(
          "CREATE TEMP {} {} AS SELECT p.* EXCLUDE (filename, file_row_number){}, o.index AS tarn_object, o.part AS "
          "tarn_partition, file_row_number AS tarn_row FROM read_parquet([{}], filename = true, {}) p JOIN (VALUES {}) "
          "o(file, index, part) ON p.filename = o.file",
          kind, quote_name(name), hive, files, options, values);
    }
    TRY(self.query(sql));
    return {};
  });
}

std::string Session::readable(std::string message) const {
  // Whole numbers only, so that 100 is not taken for the start of 1001.
  for (size_t at = message.find("/proc/self/fd/"); at != std::string::npos;
       at = message.find("/proc/self/fd/", at + 1)) {
    size_t end = at + 14;
    while (end < message.size() && std::isdigit(static_cast<unsigned char>(message[end]))) ++end;
    const auto name = names_.find(message.substr(at, end - at));
    if (name != names_.end()) message.replace(at, end - at, name->second);
  }
  return message;
}

}  // namespace tarn::quality
