// A map from sorted items, in one pass.
#include "tree/detail/level_writer.h"
#include "tree/tree.h"

namespace tarn::tree {

Result<Root> build(const Context& ctx, const Parameters& parameters, const ItemSource& source, PackBuilder& into) {
  TRY(detail::check(parameters));
  detail::NodeSink& sink = detail::sink_of(into);
  const detail::Target target{ctx, sink, parameters, detail::NodeSink::Keep::kNo};
  detail::Tower tower(target, 0);
  detail::LeafWriter leaves(target, [&](detail::Ref ref) { return tower.add(std::move(ref)); });
  std::string last;
  bool first = true;
  for (;;) {
    TRY_LET(std::optional<Item> item, source());
    if (!item) break;
    if (!first && item->key <= last)
      return Error(Code::kInvalid, "path",
                   "items must come in ascending order: '" + item->key + "' came after '" + last + "'");
    TRY(detail::check_item(item->key, item->entry));
    first = false;
    last = item->key;
    const Item& held = leaves.hold(std::move(item->key), std::move(item->entry));
    TRY(leaves.add(detail::row_of(held.key, held.entry, leaves.arena())));
  }
  TRY(leaves.flush());
  TRY_LET(const std::optional<Root> root, tower.finish());
  if (!root) return empty_root(parameters);
  sink.set_entries(root->count);
  return *root;
}

}  // namespace tarn::tree
