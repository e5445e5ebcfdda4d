#pragma once
// tarn://repository/ref/path, lakefs://… alike, or just repository/ref/path.
#include <string>
#include <string_view>

#include "base/result.h"

namespace tarn::cli {

struct Uri {
  std::string repository, ref, path;  ///< the later ones may be empty; a path may hold anything
  std::string text() const;
};

enum class UriPart { kRepository, kRef, kPath };

/// Errors: a usage error that says which part is missing. More parts than `need` are refused unless need is kPath.
Result<Uri> parse_uri(std::string_view text, UriPart need);
/// Like kPath, and the path may be empty: a whole ref.
Result<Uri> parse_prefix_uri(std::string_view text);
/// Whether the text begins with tarn:// or lakefs://.
bool has_scheme(std::string_view text);

}  // namespace tarn::cli
