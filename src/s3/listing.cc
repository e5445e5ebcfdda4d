#include "s3/listing.h"

#include <algorithm>

#include "s3/object_headers.h"
#include "s3/xml.h"

namespace tarn::s3 {
namespace {

// Branch names hold '-', which sorts before the '/' that ends a common prefix: so names are sorted as keys, here.
Result<KeyPage> list_refs(const Context& ctx, versioning::Engine& engine, const versioning::Repository& repository,
                          const KeyQuery& query) {
  KeyPage out;
  std::vector<std::string> keys;
  versioning::PageQuery page{query.prefix, "", 1'000};
  while (true) {
    TRY_LET(const auto found, engine.list_branches(ctx, repository, page, false));
    for (const auto& branch : found.items)
      if (std::string key = branch.name + "/"; key > query.after) keys.push_back(std::move(key));
    if (!found.has_more) break;
    page.after = found.next_after;
  }
  std::sort(keys.begin(), keys.end());
  out.truncated = keys.size() > query.max;
  if (out.truncated) keys.resize(query.max);
  for (auto& key : keys) out.items.push_back({std::move(key), true, {}});
  if (!out.items.empty()) out.next_after = out.items.back().path;
  return out;
}

bool names_no_ref(const Error& error) {
  return (error.code() == Code::kNotFound && error.subject() != "repository") ||
         (error.code() == Code::kInvalid && (error.subject() == "ref" || error.subject() == "parent"));
}

}  // namespace

Result<KeyPage> list_keys(const Context& ctx, catalog::Catalog& catalog, const std::string& repository_name,
                          const KeyQuery& query) {
  TRY_LET(const auto repository, catalog.engine().get_repository(ctx, repository_name));
  if (query.max == 0) return KeyPage{};
  const size_t slash = query.prefix.find('/');
  if (slash == std::string::npos) return list_refs(ctx, catalog.engine(), repository, query);

  const std::string ref = query.prefix.substr(0, slash), root = ref + "/";
  versioning::ListQuery inner{query.prefix.substr(root.size()), "", query.delimiter, query.max};
  if (query.after.starts_with(root))
    inner.after = query.after.substr(root.size());
  else if (query.after > root)
    return KeyPage{};  // everything of this ref lies before it
  auto found = catalog.list_objects(ctx, repository_name, ref, inner);
  if (!found) {
    if (names_no_ref(found.error())) return KeyPage{};
    return std::move(found).error();
  }
  KeyPage out;
  out.items = std::move(found->items);
  for (auto& item : out.items) item.path.insert(0, root);
  out.truncated = found->has_more;
  if (!out.items.empty()) out.next_after = out.items.back().path;
  return out;
}

Result<KeyQuery> read_key_query(const Call& call) {
  KeyQuery query;
  query.prefix = call.query_text("prefix");
  query.delimiter = call.query_text("delimiter");
  TRY_LET(query.max, call.count("max-keys"));
  const size_t slash = query.prefix.find('/');
  Address on{.bucket = call.address.bucket};
  if (slash != std::string::npos) {
    on.ref = query.prefix.substr(0, slash);
    on.path = query.prefix.substr(slash + 1);
  }
  TRY(call.allow(slash == std::string::npos ? auth::Action::kListBranches : auth::Action::kListObjects, on));
  return query;
}

std::string listed_name(std::string_view name, bool url_encoding) {
  return url_encoding ? http::percent_encode(name, http::KeepSlash::kYes) : std::string(name);
}

void write_keys(XmlWriter& xml, const KeyPage& page, bool url_encoding, std::optional<std::string> owner) {
  for (const auto& item : page.items) {
    if (item.is_prefix) continue;
    xml.open("Contents");
    xml.text("Key", listed_name(item.path, url_encoding));
    xml.text("LastModified", iso_time(item.entry.mtime_ms));
    xml.text("ETag", quoted_etag(item.entry));
    xml.number("Size", item.entry.size);
    if (owner) {
      xml.open("Owner");
      xml.text("ID", *owner);
      xml.text("DisplayName", *owner);
      xml.close();
    }
    xml.text("StorageClass", "STANDARD");
    xml.close();
  }
  for (const auto& item : page.items) {
    if (!item.is_prefix) continue;
    xml.open("CommonPrefixes");
    xml.text("Prefix", listed_name(item.path, url_encoding));
    xml.close();
  }
}

}  // namespace tarn::s3
