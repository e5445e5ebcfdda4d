#include "tree/detail/boundary.h"
#include "tree/detail/leaf.h"
#include "tree/tree.h"

namespace tarn::tree {

namespace detail {

Result<void> check(const Parameters& p) {
  constexpr uint32_t kMax = 4096;
  const auto valid = [](uint32_t min, uint32_t target, uint32_t max, uint32_t least) {
    return min >= least && min <= target && target <= max && max <= kMax && target >= 8;
  };
  if (!valid(p.leaf_min, p.leaf_target, p.leaf_max, 1) || !valid(p.node_min, p.node_target, p.node_max, 2))
    return Error(Code::kInvalid, "tree parameters",
                 "node sizes must be min <= target <= max <= 4096 with target >= 8, leaf_min >= 1 and node_min >= 2");
  return {};
}

}  // namespace detail

namespace {
constexpr uint8_t kRootVersion = 1;
}

std::string Root::encode() const {
  std::string out;
  out.push_back(static_cast<char>(kRootVersion));
  out.push_back(static_cast<char>(detail::kAlgorithmSha256));
  out.append(id.bytes());
  detail::put_varint(out, level);
  detail::put_varint(out, count);
  detail::put_varint(out, bytes);
  detail::put_le<uint64_t>(out, parameters.seed);
  for (const uint32_t size : {parameters.leaf_min, parameters.leaf_target, parameters.leaf_max, parameters.node_min,
                              parameters.node_target, parameters.node_max})
    detail::put_varint(out, size);
  detail::put_text(out, location.pack);
  detail::put_varint(out, location.offset);
  detail::put_varint(out, location.length);
  out.push_back(static_cast<char>(location.codec));
  return out;
}

Result<Root> Root::decode(std::string_view bytes) {
  if (bytes.size() < 2) return detail::corrupt("root", "it is cut short");
  const auto version = static_cast<uint8_t>(bytes[0]), algorithm = static_cast<uint8_t>(bytes[1]);
  if (version != kRootVersion) return detail::unsupported("root", "root version", version);
  if (algorithm != detail::kAlgorithmSha256) return detail::unsupported("root", "hash algorithm", algorithm);
  detail::Parser in(bytes.substr(2));
  const auto number = [&in] {
    const uint64_t v = in.varint();
    if (v > UINT32_MAX) in.fail();
    return static_cast<uint32_t>(v);
  };
  Root root;
  const std::string_view id = in.raw(32);
  if (in.failed()) return detail::corrupt("root", "it is cut short");
  root.id = NodeId(id);
  root.level = number();
  root.count = in.varint();
  root.bytes = in.varint();
  root.parameters.seed = in.fixed<uint64_t>();
  for (uint32_t* size : {&root.parameters.leaf_min, &root.parameters.leaf_target, &root.parameters.leaf_max,
                         &root.parameters.node_min, &root.parameters.node_target, &root.parameters.node_max})
    *size = number();
  root.location.pack = in.text();
  root.location.offset = in.varint();
  root.location.length = number();
  const uint8_t codec = in.u8();
  if (in.failed() || !in.at_end() || root.level > 255) return detail::corrupt("root", "it is cut short or has a rest");
  if (codec > static_cast<uint8_t>(Codec::kFolded)) return detail::unsupported("root", "codec", codec);
  root.location.codec = static_cast<Codec>(codec);
  if (auto valid = detail::check(root.parameters); !valid)
    return valid.error().wrap(Code::kCorrupt, "root", "stored bytes are damaged: its parameters are out of range");
  return root;
}

Root empty_root(const Parameters& parameters) {
  Root root;
  root.id = base::sha256(detail::encode_leaf({}));
  root.location.codec = Codec::kNone;
  root.parameters = parameters;
  return root;
}

}  // namespace tarn::tree
