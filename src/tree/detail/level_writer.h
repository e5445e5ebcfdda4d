#pragma once
// Cuts the items of one level into nodes, hands them to the pack and their refs to the level above.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/mutex.h"
#include "tree/detail/boundary.h"
#include "tree/detail/node.h"
#include "tree/detail/pack_writer.h"
#include "tree/detail/row.h"

namespace tarn::tree::detail {

struct Target {
  const Context& ctx;
  NodeSink& sink;
  const Parameters& parameters;
  NodeSink::Keep keep;
};

/// Takes the nodes that a level is cut into, in key order.
using RefTaker = std::function<Result<void>(Ref)>;
/// Nodes that lie where the new ones come: one that comes out unchanged is not written again. May be nullptr.
using OldRefs = const std::deque<Ref>*;

/// Level 0. The views of a row must live until the leaf that it lands in is closed: hold() what owns them, or keep them
/// in arena(); what neither owns must outlive the writer.
///
/// In a long run, leaves are encoded, hashed and compressed by the sink's helpers while the caller cuts the next ones;
/// they come to the pack and to the taker in their order, on the caller's thread, so that the bytes are the same.
/// Memory: the open leaf, and kBatchesMax more.
class LeafWriter {
 public:
  LeafWriter(const Target& target, RefTaker taker, OldRefs old = nullptr);
  Result<void> add(Row row);
  /// A row of a stored leaf: its key is copied, the rest lives with `node`.
  Result<void> add_stored(const std::shared_ptr<const Node>& node, const Row& row);
  /// A stored leaf with other rows under the same keys: a leaf again, which ends where it ended. Only when closed().
  /// @param ref  with the new sum of sizes; its id and place are filled in.
  Result<void> add_edited(const std::shared_ptr<const Node>& node, Ref ref, std::vector<Replacement> with);
  /// A stored leaf as it is. Only when closed().
  Result<void> pass(Ref ref);
  /// Keeps what a row to come refers to. At most one for each row that is added.
  const Item& hold(std::string key, Entry entry);
  /// Closes the open leaf and hands on all that is under way.
  Result<void> flush();
  bool closed() const { return open_->rows.empty(); }
  Arena& arena() { return open_->arena; }

 private:
  /// The rows of one leaf, or what becomes other in a stored one, with what they refer to, and later the leaf.
  struct Batch {
    std::vector<Row> rows;
    std::shared_ptr<const Node> edited;
    std::vector<Replacement> with;
    Arena arena;
    std::vector<Item> items;
    std::vector<std::shared_ptr<const Node>> held;
    Ref ref;
    std::optional<Result<Framed>> leaf;
    bool taken = false, done = false;  ///< guarded by Shared::mutex
    Result<std::string> body() const {
      return edited ? replace_in_leaf(edited->leaf(), with) : Result<std::string>(encode_leaf(rows));
    }
    void clear() {
      rows.clear();
      edited.reset();
      with.clear();
      arena.clear();
      items.clear();
      if (held.size() > 1) held.erase(held.begin(), held.end() - 1);
      leaf.reset();
      taken = done = false;
    }
  };
  struct Shared {
    base::Mutex mutex;
    base::Condition changed;
  };
  Result<void> close();
  /// The open batch goes to the helpers, or is made here.
  Result<void> hand_over(bool spills);
  Result<void> close_here();
  bool is_done(const Batch& batch);
  static bool take(Shared& shared, Batch& batch);
  static void encode(Shared& shared, Batch& batch, Codec codec);
  /// Hands on finished leaves from the front until at most `most` are under way.
  Result<void> hand_on(size_t most);

  const Target target_;
  const RefTaker taker_;
  const OldRefs old_;
  Boundary boundary_;
  std::shared_ptr<Batch> open_;
  std::vector<std::shared_ptr<Batch>> spare_;
  size_t closed_ = 0;  ///< leaves so far
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::deque<std::shared_ptr<Batch>> under_way_;
  std::unique_ptr<base::ThreadPool> helpers_;  ///< goes first: it may be at work on a batch
};

/// Level 1 and above.
class InternalWriter {
 public:
  InternalWriter(const Target& target, uint32_t level, RefTaker taker, OldRefs old = nullptr)
      : target_(target), level_(level), taker_(std::move(taker)), old_(old), boundary_(target.parameters, level) {}
  Result<void> add(Ref child);
  Result<void> flush();
  bool closed() const { return children_.empty(); }

 private:
  Result<void> close();
  const Target target_;
  const uint32_t level_;
  const RefTaker taker_;
  const OldRefs old_;
  Boundary boundary_;
  std::vector<Ref> children_;
};

/// The levels above the nodes of one level, as many as it takes. Memory: the open node of each.
class Tower {
 public:
  /// @param level  of the nodes that come.
  Tower(const Target& target, uint32_t level) : target_(target), level_(level) {}
  Result<void> add(Ref ref);
  /// The root; nullopt when no node came.
  Result<std::optional<Root>> finish();

 private:
  const Target target_;
  const uint32_t level_;
  std::optional<Ref> only_;
  std::unique_ptr<InternalWriter> parents_;
  std::unique_ptr<Tower> above_;
};

Root root_of(const Parameters& parameters, const Ref& ref, uint32_t level);
/// Errors: kInvalid (key too long, nested manifest).
Result<void> check_item(std::string_view key, const Entry& entry);
NodeSink& sink_of(PackBuilder& builder);

}  // namespace tarn::tree::detail
