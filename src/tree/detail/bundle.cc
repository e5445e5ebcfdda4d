#include "tree/detail/bundle.h"

#include "tree/detail/header.h"

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

}  // namespace tarn::tree::detail
