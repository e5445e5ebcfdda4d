#pragma once
// The immutable sorted map of a commit: a Merkle B+-tree with key-defined boundaries, its nodes in packs (decision D4).
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/hash.h"
#include "base/result.h"
#include "block/store.h"
#include "tree/entry.h"

namespace tarn::tree {

using NodeId = base::Digest;  ///< SHA-256 over the uncompressed canonical node, location hints left out

enum class Codec : uint8_t { kNone = 0, kZstd = 1, kLz4 = 2, kFolded = 3 };

/// Fixed when a repository is made, recorded in every root. Equal content gives equal roots within one set.
struct Parameters {
  uint64_t seed = 0;
  uint32_t leaf_min = 128, leaf_target = 256, leaf_max = 512;
  uint32_t node_min = 128, node_target = 256, node_max = 512;
  bool operator==(const Parameters&) const = default;
};

/// Where a node lies: a hint that may age; the id is the truth.
struct Location {
  std::string pack;  ///< pack id, the last part of "<prefix>packs/<id>"
  uint64_t offset = 0;
  uint32_t length = 0;
  Codec codec = Codec::kZstd;  ///< kFolded: by its id, in the index of the pack; offset and length say nothing
  bool operator==(const Location&) const = default;
};

struct Root {
  NodeId id;
  Location location;
  uint32_t level = 0;  ///< 0: the root is a leaf
  uint64_t count = 0;  ///< entries
  uint64_t bytes = 0;  ///< sum of their sizes
  Parameters parameters;
  std::string encode() const;
  static Result<Root> decode(std::string_view bytes);
};

struct Item {
  std::string key;
  Entry entry;
};

/// nullopt removes the key; removing an absent key is no edit.
struct Edit {
  std::string key;
  std::optional<Entry> entry;
};

enum class ChangeType : uint8_t { kAdded, kRemoved, kChanged };

/// A difference between two maps, decided by identity.
struct Change {
  std::string key;
  ChangeType type;
  std::optional<Entry> left, right;
};

class Node;
class NodeCache;
/// One cache of uncompressed nodes for the whole process. @param bytes_max  of memory.
std::shared_ptr<NodeCache> make_node_cache(size_t bytes_max);

struct PackedCommit {
  std::string id;      ///< 32 raw bytes
  std::string record;  ///< self-describing bytes, versioning's own
};

struct PackInfo {
  std::string id;
  uint64_t size = 0;    ///< stored bytes
  bool folded = false;  ///< written by Packs::fold()
};

/// What folding did.
struct Folded {
  std::string pack;                   ///< the new one; empty when there was nothing to fold
  std::vector<std::string> replaced;  ///< packs whose every part is in the new one
  uint64_t bytes_before = 0, bytes_after = 0;
};

/// Where the parts of a pack that was folded are now, or nullopt. Asked only when a pack is not there.
using Relocations = std::function<Result<std::optional<std::string>>(const Context& ctx, const std::string& pack_id)>;

/// Collects the nodes that a commit creates and writes them as one immutable object. Threads: one.
class PackBuilder {
 public:
  virtual ~PackBuilder() = default;
  /// Adds a commit record; several commits may share a pack. It goes to the pack that pack_id() names now.
  virtual void add_commit(std::string id32, std::string record) = 0;
  /// Adds the change-set of a commit to its first parent (keys sorted). Left out above max(1,000, N/16) changes.
  virtual void add_change_set(std::string id32, std::span<const Change> changes) = 0;
  virtual bool empty() const = 0;
  /// The id that the pack will have (locations in roots name it already). A build above 64 MiB fills several packs and
  /// each takes the next id: ask after the last apply(), build() or merge() of a commit, when its record is added.
  virtual const std::string& pack_id() const = 0;
  /// Writes the pack durably. Until it returns, nothing built with this builder can be read by others (roots built with
  /// it can be read and built upon in this process while the builder lives). An empty builder writes nothing.
  /// Errors: as block::Store::put; after one that says "not applied" it may be called again.
  virtual Result<void> finish(const Context& ctx) = 0;
};

/// The packs of one repository. Threads: any. Holds a reference to `store` for its lifetime.
class Packs {
 public:
  /// @param prefix       block-name prefix of the repository, e.g. "flights/" (packs go to "flights/packs/").
  /// @param relocations  speeds up what refers to folded packs; without it their parts are searched for.
  static std::shared_ptr<Packs> open(block::Store& store, std::string prefix, std::shared_ptr<NodeCache> cache,
                                     base::Clock& clock, base::Random& random, Relocations relocations = {});
  virtual ~Packs() = default;
  /// @param codec  of what it stores; kLz4 costs 17 % more bytes and half the time.
  virtual std::unique_ptr<PackBuilder> begin(Codec codec = Codec::kZstd) = 0;
  /// Errors: kCorrupt (missing pack, wrong hash), kUnavailable.
  virtual Result<std::shared_ptr<const Node>> load(const Context& ctx, const NodeId& id, const Location& at) = 0;
  /// The node if it is in memory, else nullptr: no input, no waiting.
  virtual std::shared_ptr<const Node> find_cached(const NodeId& id) = 0;
  /// The commits that a pack holds, from its tail index. For recovery and fsck.
  /// Errors: kNotFound (no such pack, or not written yet), kCorrupt, kUnsupported (a newer format), kUnavailable.
  virtual Result<std::vector<PackedCommit>> commits_of(const Context& ctx, const std::string& pack_id) = 0;
  /// The change-set of a commit, or nullopt when the pack holds none, or one of more than `bytes_max`.
  virtual Result<std::optional<std::vector<Change>>> change_set(const Context& ctx, const std::string& pack_id,
                                                                std::string_view commit_id32,
                                                                uint64_t bytes_max = UINT64_MAX) = 0;
  /// Whether a commit may have changed `path` (a key, or a directory that ends with '/') against its first parent.
  /// false is certain. Cost: one small read. Errors: as change_set().
  virtual Result<bool> may_have_changed(const Context& ctx, const std::string& pack_id, std::string_view commit_id32,
                                        std::string_view path) = 0;
  /// Reads a whole pack and checks every byte: frames, checksums, ids, index. For fsck.
  /// Errors: kNotFound, kCorrupt, kUnsupported, kUnavailable. Memory: the pack.
  virtual Result<void> check_pack(const Context& ctx, const std::string& pack_id) = 0;

  /// All packs, oldest first. Cost: one listing of the store. Errors: kUnavailable.
  virtual Result<std::vector<PackInfo>> list(const Context& ctx) = 0;
  /// Writes what small packs hold as one: versions of a node beside each other, compressed together. Removes nothing:
  /// the caller records where the parts went, then calls remove(). Takes packs in their order until about 48 MiB of
  /// nodes are collected (folded packs may be among them); a damaged pack is left out. Nothing is written for fewer
  /// than two. Errors: kUnavailable; as block::Store::put. Memory: about 150 MiB at most.
  /// kBackground takes a fifth of the time for 4 % more bytes.
  enum class Effort : uint8_t { kThorough, kBackground };
  virtual Result<Folded> fold(const Context& ctx, std::span<const std::string> pack_ids,
                              Effort effort = Effort::kThorough) = 0;
  /// The packs that a folded pack stands for. Errors: as commits_of().
  virtual Result<std::vector<std::string>> replaced_by(const Context& ctx, const std::string& folded_pack_id) = 0;
  /// Removes a pack whose parts are elsewhere: readers that still refer to it find them there.
  virtual Result<void> remove(const Context& ctx, const std::string& pack_id) = 0;
};

/// Walks a map in key order. An error is never the end.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual Result<std::optional<Item>> next(const Context& ctx) = 0;
  /// The next next() gives the first key >= `key`. Cost: O(depth).
  virtual Result<void> seek(const Context& ctx, std::string_view key) = 0;
};

class ChangeCursor {
 public:
  virtual ~ChangeCursor() = default;
  virtual Result<std::optional<Change>> next(const Context& ctx) = 0;
};

/// The root of the empty map; needs no pack.
Root empty_root(const Parameters& parameters);

/// Errors of all: kCorrupt, kUnavailable. Cost: O(depth) node loads.
Result<std::optional<Entry>> get(const Context& ctx, Packs& packs, const Root& root, std::string_view key);
std::unique_ptr<Cursor> cursor(std::shared_ptr<Packs> packs, const Root& root);

struct Totals {
  uint64_t count = 0, bytes = 0;
};
/// Entries and bytes below a prefix. Cost: O(depth) plus two boundary leaves.
Result<Totals> totals(const Context& ctx, Packs& packs, const Root& root, std::string_view prefix);

/// Applies edits (sorted by key, each key once) and gives the new root; the same records give the same root whatever
/// the history. When an edit's entry has the identity of the base's, the base's record stays. Cost: O(touched leaves +
/// depth); edits that lie side by side, as appended ones do, go at the speed of build(). Memory: the open node of each
/// level and the builder's, not the edits. Errors: kInvalid (order broken, key above 65,535 bytes, nested manifest),
/// kTooLarge, kCorrupt, kUnavailable, and block::Store::put's when a pack fills up. After an error the builder holds
/// nodes that nothing refers to: they take room, and nothing else.
Result<Root> apply(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& root,
                   std::span<const Edit> edits, PackBuilder& into);
/// The same from a source (nullopt = end), whose own error comes back as it is: millions of edits, or edits that are
/// made on the way.
using EditSource = std::function<Result<std::optional<Edit>>()>;
Result<Root> apply(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& root, const EditSource& source,
                   PackBuilder& into);

/// Builds from items in ascending key order (nullopt = end). Memory: the open node of each level and the builder's.
/// Errors: kInvalid when the order is broken; the source's own.
using ItemSource = std::function<Result<std::optional<Item>>()>;
Result<Root> build(const Context& ctx, const Parameters& parameters, const ItemSource& source, PackBuilder& into);

/// What turns `left` into `right`, in key order, from the first key >= `from`, below `prefix`.
/// Cost: O(changed leaves), by skipping equal hashes.
std::unique_ptr<ChangeCursor> diff(const std::shared_ptr<Packs>& packs, const Root& left, const Root& right,
                                   std::string_view prefix = {}, std::string_view from = {});
/// The same across two repositories (their packs differ).
std::unique_ptr<ChangeCursor> diff(std::shared_ptr<Packs> left_packs, const Root& left,
                                   std::shared_ptr<Packs> right_packs, const Root& right, std::string_view prefix = {},
                                   std::string_view from = {});

enum class Strategy : uint8_t { kNone, kSourceWins, kDestinationWins };
/// What decides a conflict at a key.
using StrategyOf = std::function<Strategy(std::string_view key)>;

struct Conflict {
  std::string key;
  std::optional<Entry> base, source, destination;
};

struct Merged {
  Root root;                        ///< meaningless when there are conflicts
  std::vector<Conflict> conflicts;  ///< complete, in key order; empty under a strategy that decides
  std::vector<Change> changes;      ///< what the merge changes in the destination, in key order; where the destination
                                    ///< has the base's object, `left` is the base's record of it
};

/// Three-way merge per key, by identity: a side that did not change loses to the one that did; equal changes on both
/// sides keep the destination's record. Cost: O(changed leaves of the source) and a look-up for each of its changes;
/// above 256 of them O(changed leaves of both sides).
Result<Merged> merge(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& base, const Root& source,
                     const Root& destination, const StrategyOf& strategy, PackBuilder& into);
inline Result<Merged> merge(const Context& ctx, const std::shared_ptr<Packs>& packs, const Root& base,
                            const Root& source, const Root& destination, Strategy strategy, PackBuilder& into) {
  return merge(
      ctx, packs, base, source, destination, [strategy](std::string_view) { return strategy; }, into);
}

/// What a check read.
struct Checked {
  uint64_t nodes = 0, entries = 0;  ///< not seen before by this checker
};

/// Checks whole trees: hashes, levels, order, counts, sums, boundaries, canonical bytes. For fsck: nodes that several
/// commits share are read once. Threads: one at a time. Memory: about 300 bytes a node.
class Checker {
 public:
  static std::unique_ptr<Checker> make(std::shared_ptr<Packs> packs);
  virtual ~Checker() = default;
  /// @param each  called with every entry of a leaf that was not seen before, so that its object can be looked up; its
  ///              error ends the check.
  /// Errors: kCorrupt at the first lie, naming it; kUnavailable.
  virtual Result<Checked> check(const Context& ctx, const Root& root,
                                const std::function<Result<void>(const Item&)>& each) = 0;
};

}  // namespace tarn::tree
