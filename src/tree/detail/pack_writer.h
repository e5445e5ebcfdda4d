#pragma once
// The builder behind PackBuilder.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tree/detail/node.h"
#include "tree/detail/pack_file.h"
#include "tree/detail/pack_flights.h"
#include "tree/detail/pack_home.h"
#include "tree/tree.h"

namespace tarn::tree::detail {

/// A node ready for a pack: all that costs time is done.
struct Framed {
  NodeId id;
  std::string body, hints, frame;
  Codec codec = Codec::kNone;
};
/// Hashes and compresses. Threads: any. Errors: kTooLarge.
Result<Framed> frame_node(std::string body, const std::vector<Location>& hints, Codec codec);

/// What building needs beyond PackBuilder. Every PackBuilder that Packs::begin() gives is one.
class NodeSink : public PackBuilder {
 public:
  enum class Keep : bool { kNo, kYes };
  /// Adds a node unless the pack has it. @param keep  offer it to the cache once it is durable.
  /// Errors: kTooLarge; as block::Store::put when a full pack has to be written.
  virtual Result<Location> add_node(const Context& ctx, const NodeId& id, std::string body,
                                    const std::vector<Location>& hints, Keep keep) = 0;
  /// The same of a node that was framed elsewhere, with the codec of this sink.
  virtual Result<Location> add_framed(const Context& ctx, Framed node, Keep keep) = 0;
  virtual Codec codec() const = 0;
  /// Threads that may frame nodes beside the caller's.
  virtual size_t helpers() const = 0;
  /// The size of the map just built: bounds the change-sets.
  virtual void set_entries(uint64_t count) = 0;
};

/// Memory: the open pack, and those on their way.
class PackWriter final : public NodeSink {
 public:
  PackWriter(std::shared_ptr<PackHome> home, Codec codec, uint64_t size_max, size_t helpers = 0);
  ~PackWriter() override;
  void add_commit(std::string id32, std::string record) override;
  void add_change_set(std::string id32, std::span<const Change> changes) override;
  bool empty() const override;
  const std::string& pack_id() const override { return tail_.pack_id; }
  Result<void> finish(const Context& ctx) override;
  Result<Location> add_node(const Context& ctx, const NodeId& id, std::string body, const std::vector<Location>& hints,
                            Keep keep) override;
  Result<Location> add_framed(const Context& ctx, Framed node, Keep keep) override;
  Codec codec() const override { return codec_; }
  size_t helpers() const override { return helpers_; }
  void set_entries(uint64_t count) override { entries_ = count; }

 private:
  struct Record {
    std::vector<Slot> Tail::*list;
    std::string id, body;
  };
  void open();
  /// Where a node is already, in this builder's packs or in those before.
  std::optional<Location> find(const NodeId& id);
  /// Records and index behind the nodes of the open pack. After an error it is as before.
  Result<void> complete();
  /// A full pack leaves, another is opened.
  Result<void> go_on(const Context& ctx);
  Result<void> write_last(const Context& ctx);

  const std::shared_ptr<PackHome> home_;
  const Codec codec_;
  const uint64_t size_max_;
  const size_t helpers_;
  std::shared_ptr<PendingPack> pack_;
  Tail tail_;
  std::unordered_map<NodeId, Location, base::DigestHash> known_;  ///< in all packs of this builder
  std::vector<Record> records_;                                   ///< of the open pack
  std::vector<std::pair<NodeId, std::shared_ptr<const Node>>> kept_;
  size_t kept_bytes_ = 0;
  uint64_t entries_ = 0;
  bool finished_ = false, wrote_ = false;
  PackFlights flights_;
};

}  // namespace tarn::tree::detail
