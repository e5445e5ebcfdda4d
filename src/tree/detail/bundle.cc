#include "tree/detail/bundle.h"

#include "tree/detail/header.h"
#include "tree/detail/version.h"

namespace tarn::tree::detail {

std::string encode_bundle(std::span<const Member> members) {
  std::string out;
  put_header(out, Kind::kBundle);
  put_varint(out, members.size());
  for (const Member& member : members) {
    put_varint(out, member.body.size());
    put_varint(out, member.hints.size());
  }
  for (const Member& member : members) out.append(member.body);
  for (const Member& member : members) out.append(member.hints);
  return out;
}

Result<std::shared_ptr<const Bundle>> Bundle::open(std::string body) {
  std::shared_ptr<Bundle> bundle(new Bundle(std::move(body)));
  TRY(expect_kind(bundle->bytes_, Kind::kBundle));
  Parser in(std::string_view(bundle->bytes_).substr(kHeaderSize));
  const uint64_t count = in.varint();
  if (count > in.remaining() / 2) return corrupt("bundle", "it says that it has more members than bytes");
  std::vector<std::pair<uint64_t, uint64_t>> sizes;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t size = in.varint();
    sizes.emplace_back(size, in.varint());
  }
  for (const auto& [size, hints] : sizes) bundle->members_.push_back({in.raw(size), {}});
  for (size_t i = 0; i < sizes.size(); ++i) bundle->members_[i].hints = in.raw(sizes[i].second);
  if (in.failed() || !in.at_end()) return corrupt("bundle", "its members do not fill it");
  return std::shared_ptr<const Bundle>(std::move(bundle));
}

Result<std::string> Bundle::body(size_t index) const {
  std::vector<size_t> versions;
  while (is_version(members_[index].body)) {
    if (versions.size() == kVersionsMax) return corrupt("bundle", "a version goes back too far");
    TRY_LET(const uint64_t distance, base_distance(members_[index].body));
    if (distance > index) return corrupt("bundle", "a version's base lies before the bundle");
    versions.push_back(index);
    index -= static_cast<size_t>(distance);
  }
  if (versions.empty()) return std::string(members_[index].body);
  TRY_LET(auto leaf, LeafRecords::of(members_[index].body));
  if (!leaf) return corrupt("bundle", "a version's base is no plain leaf");
  for (size_t i = versions.size(); i > 0; --i) TRY(apply_version(*leaf, members_[versions[i - 1]].body));
  return leaf->leaf();
}

}  // namespace tarn::tree::detail
