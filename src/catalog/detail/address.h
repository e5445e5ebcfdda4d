#pragma once
// Where the bytes of an address lie: names in the object store, pins of linked files.
#include <optional>
#include <string>
#include <string_view>

#include "block/foreign.h"
#include "block/store.h"
#include "versioning/types.h"

namespace tarn::catalog::detail {

/// How the address of a linked file begins.
inline constexpr std::string_view kFile = "local:///";

/// "<prefix>data/<partition>/<sequence>".
Result<block::Name> own_name(const versioning::Repository& repository, uint64_t partition, uint64_t sequence);
/// Another repository's object in the same store: its block name.
std::string block_name_of(std::string_view uri);
/// "12345:1700000000000000000": size and time of a linked file.
std::optional<block::FileIdentity> parse_pin(std::string_view pin);

}  // namespace tarn::catalog::detail
