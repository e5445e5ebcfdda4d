// Footers of Parquet files, read in batches and remembered by content.
#include <algorithm>

#include <fmt/core.h>

#include "quality/runner.h"

namespace tarn::quality {
namespace {

constexpr int64_t kFooterRowsMax = 1'000'000;
/// Objects in one statement; more only make messages large.
constexpr size_t kBatch = 400;

/// Top-level columns from the flat list of a schema tree, root first.
std::vector<std::pair<std::string, std::string>> top_level(const std::vector<const Json::Array*>& rows) {
  std::vector<std::pair<std::string, std::string>> out;
  size_t at = 1;
  const auto skip = [&](auto&& self) -> void {
    if (at >= rows.size()) return;
    const int64_t children = (*rows[at])[3].as_int(0);
    ++at;
    for (int64_t i = 0; i < children; ++i) self(self);
  };
  const int64_t columns = rows.empty() ? 0 : (*rows[0])[3].as_int(0);
  for (int64_t i = 0; i < columns && at < rows.size(); ++i) {
    const Json::Array& row = *rows[at];
    const bool nested = row[3].as_int(0) > 0;
    out.emplace_back(row[1].as_string(), row[2].is_string() ? row[2].as_string() : nested ? "STRUCT" : "UNKNOWN");
    skip(skip);
  }
  return out;
}

/// Errors: kInvalid when one of the files is no Parquet file.
Result<std::vector<Footer>> query_footers(Session& session, const std::vector<const ObjectBytes*>& objects) {
  TRY_LET(const std::vector<std::string> paths, session.paths(objects));
  std::string list;
  for (const std::string& path : paths) list += (list.empty() ? "" : ", ") + quote_text(path);
  TRY_LET(const Rows counts,
          session.query(fmt::format("SELECT file_name, num_rows FROM parquet_file_metadata([{}])", list), false,
                        kFooterRowsMax));
  TRY_LET(const Rows schema, session.query(fmt::format("SELECT file_name, name, duckdb_type, num_children FROM "
                                                       "parquet_schema([{}]) ORDER BY file_name, column_id",
                                                       list),
                                           false, kFooterRowsMax));
  std::map<std::string, Footer> by_path;
  for (const Json::Array& row : counts.rows) by_path[row[0].as_string()].rows = row[1].as_int();
  for (size_t from = 0; from < schema.rows.size();) {
    std::vector<const Json::Array*> tree;
    const std::string& file = schema.rows[from][0].as_string();
    for (; from < schema.rows.size() && schema.rows[from][0].as_string() == file; ++from)
      tree.push_back(&schema.rows[from]);
    by_path[file].columns = top_level(tree);
  }
  std::vector<Footer> out;
  for (const std::string& path : paths) out.push_back(by_path[path]);
  return out;
}

}  // namespace

std::string first_line(std::string_view message) {
  std::string_view line = message.substr(0, message.find('\n'));
  for (const std::string_view kind :
       {"Invalid Input Error: ", "IO Error: ", "Binder Error: ", "Catalog Error: ", "Conversion Error: ",
        "Out of Range Error: ", "Parser Error: ", "Permission Error: "})
    if (line.starts_with(kind)) line.remove_prefix(kind.size());
  return std::string(line);
}

Result<std::vector<std::optional<Footer>>> read_footers(Engine& engine, Session& session,
                                                        const std::vector<const ObjectBytes*>& objects,
                                                        std::map<size_t, std::string>& problems) {
  std::vector<std::optional<Footer>> out(objects.size());
  std::vector<size_t> unknown;
  for (size_t i = 0; i < objects.size(); ++i) {
    out[i] = engine.find_footer(objects[i]->checksum);
    if (!out[i]) unknown.push_back(i);
  }
  for (size_t from = 0; from < unknown.size(); from += kBatch) {
    const std::vector<size_t> batch(unknown.begin() + static_cast<ptrdiff_t>(from),
                                    unknown.begin() + static_cast<ptrdiff_t>(std::min(unknown.size(), from + kBatch)));
    std::vector<const ObjectBytes*> some;
    for (const size_t i : batch) some.push_back(objects[i]);
    auto all = query_footers(session, some);
    if (all) {
      for (size_t k = 0; k < batch.size(); ++k) {
        engine.keep_footer(some[k]->checksum, (*all)[k]);
        out[batch[k]] = std::move((*all)[k]);
      }
      continue;
    }
    // Which one is it? Each alone.
    for (const size_t i : batch) {
      auto one = query_footers(session, {objects[i]});
      if (one) {
        engine.keep_footer(objects[i]->checksum, one->front());
        out[i] = std::move(one->front());
      } else if (one.error().code() == Code::kInvalid) {
        problems[i] = first_line(one.error().message());
      } else if (one.error().subject() == "worker" && all.error().subject() == "worker") {
        problems[i] = "the reader ends unexpectedly over this file";
      } else {
        return one.error();
      }
    }
  }
  return out;
}

}  // namespace tarn::quality
