#pragma once
// A node in memory: canonical bytes, read in place, and the location hints beside them.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tree/detail/hints.h"
#include "tree/detail/leaf.h"
#include "tree/tree.h"

namespace tarn::tree {

namespace detail {

/// A child as its parent sees it.
struct Ref {
  std::string key;  ///< the last key below it
  NodeId id;
  Location at;
  uint64_t count = 0, bytes = 0;
};

/// Canonical bytes of an internal node. @param level  1..255
std::string encode_internal(uint8_t level, std::span<const Ref> children);

/// An internal node read in place: docs/formats/tree.md#internal-node.
class Internal {
 public:
  static Result<Internal> parse(std::string_view bytes);
  uint32_t count() const { return keys_.count(); }
  const Keys& keys() const { return keys_; }
  void set_index(const KeyIndex* index) { keys_.set_index(index); }
  NodeId id(uint32_t index) const { return NodeId({ids_ + size_t{32} * index, 32}); }
  uint64_t entries(uint32_t index) const { return load_le<uint64_t>(counts_ + size_t{8} * index); }
  uint64_t bytes(uint32_t index) const { return load_le<uint64_t>(bytes_ + size_t{8} * index); }

 private:
  Keys keys_;
  const char* ids_ = nullptr;
  const char* counts_ = nullptr;
  const char* bytes_ = nullptr;
};

}  // namespace detail

/// Immutable. Threads: any.
class Node {
 public:
  /// Takes canonical bytes and hints. The id is the caller's to check. Errors: kCorrupt, kUnsupported.
  static Result<std::shared_ptr<const Node>> make(std::string body, std::string hints);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  detail::Kind kind() const { return kind_; }
  bool is_leaf() const { return kind_ == detail::Kind::kLeaf; }
  uint32_t level() const { return level_; }
  uint32_t count() const { return is_leaf() ? leaf_.count() : internal_.count(); }
  const detail::Leaf& leaf() const { return leaf_; }
  const detail::Internal& internal() const { return internal_; }
  /// @param index  of a child of an internal node.
  Location location(uint32_t index) const { return hints_.at(index); }
  detail::Ref child(uint32_t index, std::string key) const;
  bool has_spills() const { return !spills_.empty(); }
  /// Where a leaf's spilled metadata lies; an empty location when no hint names it.
  Location spill_location(const NodeId& id) const;
  /// Before a search in it.
  void fetch_ahead() const { index_.fetch_ahead(); }
  std::string_view body() const { return body_; }
  std::string_view hint_bytes() const { return hint_bytes_; }
  /// The metadata of a chunk.
  std::string_view metadata() const { return std::string_view(body_).substr(detail::kHeaderSize); }
  size_t memory() const {
    return sizeof(Node) + body_.capacity() + hint_bytes_.capacity() + 8 * index_.firsts.size() + 256;
  }

 private:
  struct Access {};  // make_shared() needs a public constructor; this one only make() can call

 public:
  Node(Access, std::string body, std::string hints) : body_(std::move(body)), hint_bytes_(std::move(hints)) {}

 private:
  const std::string body_, hint_bytes_;
  detail::Kind kind_ = detail::Kind::kLeaf;
  uint32_t level_ = 0;
  detail::Leaf leaf_;
  detail::Internal internal_;
  detail::KeyIndex index_;
  detail::Hints hints_;
  std::vector<NodeId> spills_;
};

}  // namespace tarn::tree
