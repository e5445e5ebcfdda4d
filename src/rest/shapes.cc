#include "rest/shapes.h"

#include <fmt/format.h>

#include <charconv>

namespace tarn::rest {
namespace {

std::string_view name_of(versioning::DiffItem::Type type) {
  using Type = versioning::DiffItem::Type;
  switch (type) {
    case Type::kAdded:
      return "added";
    case Type::kRemoved:
      return "removed";
    case Type::kChanged:
      return "changed";
    case Type::kConflict:
      return "conflict";
    case Type::kPrefixChanged:
      return "prefix_changed";
  }
  return "changed";
}

std::string_view side_of(const std::optional<tree::Entry>& base, const std::optional<tree::Entry>& side) {
  if (!side) return "removed";
  return base ? "changed" : "added";
}

template <class Number>
void append_number(std::string& out, Number number) {
  char digits[24];
  const auto [end, failed] = std::to_chars(digits, digits + sizeof digits, number);
  static_cast<void>(failed);  // 24 digits hold any 64 bits
  out.append(digits, end);
}

void append_metadata(std::string& out, const versioning::Metadata& metadata) {
  out.append(R"(,"metadata":{)");
  bool first = true;
  for (const auto& [name, value] : metadata) {
    if (!first) out.push_back(',');
    first = false;
    base::append_json_string(out, name);
    out.push_back(':');
    base::append_json_string(out, value);
  }
  out.push_back('}');
}

}  // namespace

Json to_json(const versioning::Repository& r) {
  return Json::object({{"id", r.name},
                       {"creation_date", seconds(r.created_ms)},
                       {"default_branch", r.default_branch},
                       {"storage_id", ""},
                       {"storage_namespace", r.storage_namespace},
                       {"read_only", r.read_only}});
}

Json to_json(const versioning::Commit& c) {
  Json parents = Json::array();
  for (const auto& parent : c.parents) parents.push(parent.hex());
  return Json::object({{"id", c.id.hex()},
                       {"parents", std::move(parents)},
                       {"committer", c.committer},
                       {"message", c.message},
                       {"creation_date", seconds(c.date_ms)},
                       {"meta_range_id", c.root.id.hex()},
                       {"metadata", base::to_json(c.metadata)},
                       {"generation", c.generation},
                       {"version", 1}});
}

Json ref_to_json(std::string_view name, const versioning::CommitId& commit) {
  return Json::object({{"id", name}, {"commit_id", commit.hex()}});
}

void write_stats(std::string& out, std::string_view path, const tree::Entry& entry, std::string_view physical_address,
                 bool with_metadata) {
  out.append(R"({"path":)");
  base::append_json_string(out, path);
  out.append(R"(,"path_type":"object","physical_address":)");
  base::append_json_string(out, physical_address);
  out.append(R"(,"checksum":)");
  base::append_json_string(out, entry.etag.text());
  out.append(R"(,"size_bytes":)");
  append_number(out, entry.size);
  out.append(R"(,"mtime":)");
  append_number(out, seconds(entry.mtime_ms));
  out.append(R"(,"content_type":)");
  base::append_json_string(out, entry.content_type);
  if (with_metadata) append_metadata(out, entry.metadata);
  out.push_back('}');
}

void write_prefix(std::string& out, std::string_view prefix) {
  out.append(R"({"path":)");
  base::append_json_string(out, prefix);
  out.append(R"(,"path_type":"common_prefix","physical_address":"","checksum":"","mtime":0})");
}

void write_diff(std::string& out, const versioning::DiffItem& item, bool with_right) {
  out.append(R"({"type":")").append(name_of(item.type)).append(R"(","path":)");
  base::append_json_string(out, item.path);
  if (item.is_prefix) {
    out.append(R"(,"path_type":"common_prefix"})");
    return;
  }
  out.append(R"(,"path_type":"object")");
  if (const auto& shown = item.right ? item.right : item.left) {
    out.append(R"(,"size_bytes":)");
    append_number(out, shown->size);
  }
  if (with_right && item.right) {
    out.append(R"(,"right":{"checksum":)");
    base::append_json_string(out, item.right->etag.text());
    out.append(R"(,"mtime":)");
    append_number(out, seconds(item.right->mtime_ms));
    out.append(R"(,"content_type":)");
    base::append_json_string(out, item.right->content_type);
    append_metadata(out, item.right->metadata);
    out.push_back('}');
  }
  out.push_back('}');
}

std::string begin_page(size_t results, bool has_more, const std::string& next_after, size_t bytes_each) {
  std::string out;
  out.reserve(256 + next_after.size() + results * bytes_each);
  out.append(R"({"pagination":)").append(pagination_to_json(results, has_more, next_after).dump());
  out.append(R"(,"results":[)");
  return out;
}

Json conflicts_to_json(std::span<const tree::Conflict> conflicts) {
  Json out = Json::array();
  for (const auto& c : conflicts)
    out.push(Json::object(
        {{"path", c.key}, {"source", side_of(c.base, c.source)}, {"destination", side_of(c.base, c.destination)}}));
  return out;
}

std::string describe(const std::vector<tree::Conflict>& conflicts) {
  constexpr size_t kNamed = 10;
  std::string out = fmt::format("{} {}: ", conflicts.size(), conflicts.size() == 1 ? "conflict" : "conflicts");
  for (size_t i = 0; i < conflicts.size() && i < kNamed; ++i) out += (i == 0 ? "" : ", ") + conflicts[i].key;
  if (conflicts.size() > kNamed) out += fmt::format(" and {} more", conflicts.size() - kNamed);
  return out;
}

}  // namespace tarn::rest
