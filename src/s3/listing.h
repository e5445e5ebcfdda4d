#pragma once
// Keys of a bucket in pages: what both list operations are made of.
#include <optional>
#include <string>
#include <vector>

#include "s3/call.h"

namespace tarn::s3 {

class XmlWriter;

struct KeyQuery {
  std::string prefix, after, delimiter;  ///< whole keys: "main/dir/"; `after` is exclusive
  size_t max = 1'000;
};

struct KeyPage {
  std::vector<versioning::Listed> items;  ///< whole keys and common prefixes, in bytewise order
  bool truncated = false;
  std::string next_after;  ///< give it as `after` to go on
};

/// A prefix without '/' names no ref yet: then branches are listed, as common prefixes "main/", whatever the delimiter
/// is. Otherwise the keys of that ref, staged changes included; a ref that does not exist has none.
///
/// Errors: kNotFound subject "repository". Cost: one engine page; at the root all branches with the prefix.
Result<KeyPage> list_keys(const Context& ctx, catalog::Catalog& catalog, const std::string& repository,
                          const KeyQuery& query);

/// The permission that fits the prefix, and the query's common parameters.
Result<KeyQuery> read_key_query(const Call& call);

/// Contents and CommonPrefixes of an answer.
void write_keys(XmlWriter& xml, const KeyPage& page, bool url_encoding, std::optional<std::string> owner);
/// As it is, or percent-encoded with '/' kept.
std::string listed_name(std::string_view name, bool url_encoding);

}  // namespace tarn::s3
