// Nodes and their hints: whatever the bytes, an error or a node whose every access stays inside.
// Input: two bytes (length of the hints, low byte first), hints, body.
#include "tree/detail/node.h"
#include "tree/detail/level_writer.h"
#include "tree/entry.h"
#include "tree/fuzz/bytes.h"

namespace tarn::tree {
namespace {

void use(const Node& node) {
  if (node.kind() == detail::Kind::kMetadata) {
    static_cast<void>(detail::decode_metadata(node.metadata()));
    return;
  }
  const detail::Keys& keys = node.is_leaf() ? node.leaf().keys() : node.internal().keys();
  for (const char* key : {"", "a", "path/1017", "\xff"}) static_cast<void>(keys.lower_bound(key));
  for (uint32_t i = 0; i < node.count() && i < 600; ++i) static_cast<void>(keys.at(i));
  if (!node.is_leaf()) {
    for (uint32_t i = 0; i < node.count() && i < 600; ++i) static_cast<void>(node.child(i, {}));
    return;
  }
  auto walk = node.leaf().walk(0);
  detail::Row row;
  for (uint32_t i = 0; walk && i < node.count(); ++i) {
    if (!walk->step(row)) break;
    static_cast<void>(detail::entry_of(row, row.metadata));
    if (row.spill) static_cast<void>(node.spill_location(row.spill->id));
  }
}

}  // namespace
}  // namespace tarn::tree

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tarn::tree;  // NOLINT
  fuzz::Input input(data, size);
  const size_t low = input.byte(), high = input.byte();
  const std::string hints(input.take(low | high << 8));
  const std::string_view body = input.rest();
  if (const auto node = Node::make(std::string(body), hints)) use(**node);
  static_cast<void>(decode_entry(body));
  static_cast<void>(Root::decode(body));
  return 0;
}
