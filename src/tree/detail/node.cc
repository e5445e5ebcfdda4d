#include "tree/detail/node.h"

namespace tarn::tree {

namespace detail {

std::string encode_internal(uint8_t level, std::span<const Ref> children) {
  ENSURE(level > 0);
  KeyWriter keys;
  for (const Ref& child : children) keys.add(child.key);
  std::string out;
  out.reserve(16 + 4 * keys.groups().size() + keys.bytes().size() + 48 * children.size());
  put_header(out, Kind::kInternal, level);
  put_le<uint32_t>(out, static_cast<uint32_t>(children.size()));
  put_le<uint32_t>(out, static_cast<uint32_t>(keys.bytes().size()));
  for (const uint32_t start : keys.groups()) put_le<uint32_t>(out, start);
  out.append(keys.bytes());
  for (const Ref& child : children) out.append(child.id.bytes());
  for (const Ref& child : children) put_le<uint64_t>(out, child.count);
  for (const Ref& child : children) put_le<uint64_t>(out, child.bytes);
  return out;
}

Result<Internal> Internal::parse(std::string_view bytes) {
  constexpr size_t kFixed = 16;
  TRY(expect_kind(bytes, Kind::kInternal));
  if (bytes.size() < kFixed) return corrupt("node", "its fixed part is cut short");
  const char* p = bytes.data();
  const auto count = load_le<uint32_t>(p + 8);
  const uint64_t keys_size = load_le<uint32_t>(p + 12);
  const uint64_t groups = (uint64_t{count} + kGroup - 1) / kGroup;
  if (count == 0) return corrupt("node", "an internal node without children");
  if (bytes.size() != kFixed + 4 * groups + keys_size + uint64_t{count} * 48)
    return corrupt("node", "its parts do not fill it");
  Internal node;
  p += kFixed;
  node.keys_ = Keys(count, p, {p + 4 * groups, static_cast<size_t>(keys_size)});
  p += 4 * groups + keys_size;
  node.ids_ = p;
  node.counts_ = p + size_t{32} * count;
  node.bytes_ = node.counts_ + size_t{8} * count;
  return node;
}

}  // namespace detail

Result<std::shared_ptr<const Node>> Node::make(std::string body, std::string hints) {
  auto node = std::make_shared<Node>(Node::Access{}, std::move(body), std::move(hints));
  TRY_LET(node->kind_, detail::kind_of(node->body_));
  node->level_ = static_cast<uint8_t>(node->body_[7]);
  switch (node->kind_) {
    case detail::Kind::kLeaf: {
      TRY_LET(node->leaf_, detail::Leaf::parse(node->body_));
      node->index_ = node->leaf_.keys().make_index();
      if (!node->index_.firsts.empty()) node->leaf_.set_index(&node->index_);
      if (!node->hint_bytes_.empty()) {
        TRY_LET(node->spills_, node->leaf_.spills());
        TRY_LET(node->hints_, detail::Hints::parse(node->hint_bytes_, node->spills_.size()));
      }
      break;
    }
    case detail::Kind::kInternal: {
      TRY_LET(node->internal_, detail::Internal::parse(node->body_));
      node->index_ = node->internal_.keys().make_index();
      if (!node->index_.firsts.empty()) node->internal_.set_index(&node->index_);
      TRY_LET(node->hints_, detail::Hints::parse(node->hint_bytes_, node->internal_.count()));
      break;
    }
    case detail::Kind::kMetadata:
      break;
    default:
      return detail::corrupt("node", "it is no part of a tree");
  }
  return std::shared_ptr<const Node>(std::move(node));
}

detail::Ref Node::child(uint32_t index, std::string key) const {
  return {std::move(key), internal_.id(index), hints_.at(index), internal_.entries(index), internal_.bytes(index)};
}

Location Node::spill_location(const NodeId& id) const {
  for (size_t i = 0; i < spills_.size(); ++i)
    if (spills_[i] == id) return hints_.at(i);
  return {};
}

}  // namespace tarn::tree
