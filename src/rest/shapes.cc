#include "rest/shapes.h"

#include <fmt/format.h>

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

Json to_json(const versioning::DiffItem& item, bool with_right) {
  Json out = Json::object(
      {{"type", name_of(item.type)}, {"path", item.path}, {"path_type", item.is_prefix ? "common_prefix" : "object"}});
  if (item.is_prefix) return out;
  const auto& shown = item.right ? item.right : item.left;
  if (shown) out.set("size_bytes", shown->size);
  if (with_right && item.right)
    out.set("right", Json::object({{"checksum", item.right->etag.text()},
                                   {"mtime", seconds(item.right->mtime_ms)},
                                   {"content_type", item.right->content_type},
                                   {"metadata", base::to_json(item.right->metadata)}}));
  return out;
}

Json stats_to_json(std::string_view path, const tree::Entry& entry, std::string physical_address, bool with_metadata) {
  Json out = Json::object({{"path", path},
                           {"path_type", "object"},
                           {"physical_address", std::move(physical_address)},
                           {"checksum", entry.etag.text()},
                           {"size_bytes", entry.size},
                           {"mtime", seconds(entry.mtime_ms)},
                           {"content_type", entry.content_type}});
  if (with_metadata) out.set("metadata", base::to_json(entry.metadata));
  return out;
}

void write_stats(base::JsonWriter& out, std::string_view path, const tree::Entry& entry,
                 std::string_view physical_address, bool with_metadata) {
  out.begin_object();
  out.key("path").value(path).key("path_type").value("object").key("physical_address").value(physical_address);
  out.key("checksum").value(entry.etag.text()).key("size_bytes").value(entry.size);
  out.key("mtime").value(seconds(entry.mtime_ms)).key("content_type").value(entry.content_type);
  if (with_metadata) {
    out.key("metadata").begin_object();
    for (const auto& [name, value] : entry.metadata) out.key(name).value(value);
    out.end_object();
  }
  out.end_object();
}

void write_prefix(base::JsonWriter& out, std::string_view prefix) {
  out.begin_object();
  out.key("path").value(prefix).key("path_type").value("common_prefix").key("physical_address").value("");
  out.key("checksum").value("").key("mtime").value(0).end_object();
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
