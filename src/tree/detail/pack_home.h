#pragma once
// What a builder of packs needs from the packs of its repository.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "tree/detail/node.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

/// The bytes of a pack on its way. Threads: one writes, any read.
struct PendingPack {
  base::Mutex mutex;
  std::string bytes;
};

/// Where a PackWriter puts its packs. Threads: any.
class PackHome {
 public:
  virtual ~PackHome() = default;
  virtual std::string new_pack_id() = 0;
  virtual void set_pending(const std::string& pack_id, std::shared_ptr<PendingPack> pack) = 0;  ///< nullptr: no more
  virtual Result<void> write(const Context& ctx, const std::string& pack_id, std::string_view bytes) = 0;
  virtual void publish(const NodeId& id, std::shared_ptr<const Node> node) = 0;
  /// Where a node lies durably already, if that is remembered: a merge of a branch whose trunk stood still writes none.
  virtual std::optional<Location> find_written(const NodeId& id) = 0;
  virtual void remember_written(const NodeId& id, const Location& at) = 0;
};

}  // namespace tarn::tree::detail
