#include "catalog/detail/address.h"

#include <charconv>

#include <fmt/core.h>

#include "versioning/records.h"

namespace tarn::catalog::detail {

Result<block::Name> own_name(const versioning::Repository& repository, uint64_t partition, uint64_t sequence) {
  return block::make_name(fmt::format("{}data/{:016x}/{:016x}", versioning::block_prefix(repository.storage_namespace),
                                      partition, sequence));
}

std::string block_name_of(std::string_view uri) {
  std::string name = versioning::block_prefix(uri);
  name.pop_back();
  return name;
}

std::optional<block::FileIdentity> parse_pin(std::string_view pin) {
  block::FileIdentity identity;
  const size_t colon = pin.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto size = std::from_chars(pin.data(), pin.data() + colon, identity.size);
  const auto time = std::from_chars(pin.data() + colon + 1, pin.data() + pin.size(), identity.mtime_ns);
  if (size.ec != std::errc() || time.ec != std::errc()) return std::nullopt;
  return identity;
}

}  // namespace tarn::catalog::detail
