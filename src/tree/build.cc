// A map from sorted items, in one pass.
#include <deque>

#include "tree/detail/level_writer.h"
#include "tree/tree.h"

namespace tarn::tree {

Result<Root> build(const Context& ctx, const Parameters& parameters, const ItemSource& source, PackBuilder& into) {
  TRY(detail::check(parameters));
  detail::NodeSink& sink = detail::sink_of(into);
  const detail::Target target{ctx, sink, parameters, detail::NodeSink::Keep::kNo};
  detail::LeafWriter leaves(target);
  std::deque<Item> items;  // of the open leaf
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
    items.push_back(std::move(*item));
    TRY(leaves.add(detail::row_of(items.back().key, items.back().entry, leaves.arena())));
    if (leaves.closed()) items.clear();
  }
  TRY(leaves.flush());
  if (leaves.refs().empty()) return empty_root(parameters);
  TRY_LET(const Root root, detail::build_above(target, std::move(leaves.refs()), 0));
  sink.set_entries(root.count);
  return root;
}

}  // namespace tarn::tree
