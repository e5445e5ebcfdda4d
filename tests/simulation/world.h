#pragma once
// The world of one simulated run: stores that outlive the server, and the lives of the server over them.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/random.h"
#include "base/testing/baton.h"
#include "block/memory.h"
#include "kv/memory.h"
#include "versioning/engine.h"

namespace tarn::simulation {

using base::testing::Simulation;

/// How often what goes wrong, in 10,000 calls. Draws come from the simulation, so a seed repeats them.
struct Faults {
  int error = 0;    ///< a call fails and had no effect; of a scan: at any of its rows
  int unknown = 0;  ///< a write fails without anybody knowing whether it happened
  int late = 0;     ///< a call takes long: other tasks run meanwhile
};

/// One life of the server. After its death every call to its stores fails and changes nothing; what runs in it unwinds.
struct Life {
  explicit Life(Simulation& s) : simulation(s) {}
  Simulation& simulation;
  Faults faults;
  bool dead = false;

  bool hit(int of_10000) { return of_10000 > 0 && simulation.draw() % 10'000 < static_cast<uint64_t>(of_10000); }
  /// A place where tasks change, where the server may die, and where a call may fail.
  Result<void> pass(const char* what) {
    Simulation::yield();
    if (hit(faults.late))
      for (int i = 0; i < 30; ++i) Simulation::yield();
    if (dead) return Error(Code::kUnavailable, "store", "simulated: the server died");
    if (hit(faults.error)) return Error(Code::kUnavailable, "store", "simulated: " + std::string(what) + " failed");
    return {};
  }
  /// After a write took effect: whether its caller is told.
  Result<void> answer() {
    Simulation::yield();
    if (dead) return Error(Code::kUnknownOutcome, "store", "simulated: the server died");
    return {};
  }
};

class SimulatedKv final : public kv::Store {
 public:
  SimulatedKv(kv::Store& inner, Life& life) : inner_(inner), life_(life) {}
  Result<std::optional<kv::Row>> get(const Context& ctx, std::string_view key) override {
    TRY(life_.pass("get"));
    return inner_.get(ctx, key);
  }
  std::unique_ptr<kv::Iterator> scan(const Context& ctx, std::string_view prefix, std::string_view from) override {
    return std::make_unique<Rows>(inner_.scan(ctx, prefix, from), life_);
  }
  Result<std::unique_ptr<kv::View>> view(const Context& ctx) override {
    TRY(life_.pass("view"));
    TRY_LET(auto inner, inner_.view(ctx));
    return std::unique_ptr<kv::View>(new View(std::move(inner), life_));
  }
  Result<kv::Sequence> apply(const Context& ctx, const kv::Batch& batch) override {
    TRY(life_.pass("apply"));
    if (life_.hit(life_.faults.unknown)) {
      if (life_.simulation.draw() % 2) TRY(inner_.apply(ctx, batch));
      return Error(Code::kUnknownOutcome, "store", "simulated: the apply may have happened");
    }
    TRY_LET(const kv::Sequence sequence, inner_.apply(ctx, batch));
    TRY(life_.answer());
    return sequence;
  }

 private:
  class Rows final : public kv::Iterator {
   public:
    Rows(std::unique_ptr<kv::Iterator> inner, Life& life) : inner_(std::move(inner)), life_(life) {}
    Result<std::optional<kv::KeyRow>> next() override {
      if (broken_) return Error(Code::kUnavailable, "store", "simulated: the scan is broken");
      if (auto passed = life_.pass("scan"); !passed) {
        broken_ = true;
        return passed.error();
      }
      return inner_->next();
    }

   private:
    std::unique_ptr<kv::Iterator> inner_;
    Life& life_;
    bool broken_ = false;
  };
  class View final : public kv::View {
   public:
    View(std::unique_ptr<kv::View> inner, Life& life) : inner_(std::move(inner)), life_(life) {}
    Result<std::optional<kv::Row>> get(std::string_view key) override {
      TRY(life_.pass("get"));
      return inner_->get(key);
    }
    std::unique_ptr<kv::Iterator> scan(std::string_view prefix, std::string_view from) override {
      return std::make_unique<Rows>(inner_->scan(prefix, from), life_);
    }
    kv::Sequence sequence() const override { return inner_->sequence(); }

   private:
    std::unique_ptr<kv::View> inner_;
    Life& life_;
  };

  kv::Store& inner_;
  Life& life_;
};

class SimulatedBlocks final : public block::Store {
 public:
  SimulatedBlocks(block::Store& inner, Life& life) : inner_(inner), life_(life) {}
  Result<block::Stored> put(const Context& ctx, const block::Name& name, block::ByteSource& source) override {
    TRY(life_.pass("put"));
    if (life_.hit(life_.faults.unknown)) {
      if (life_.simulation.draw() % 2) TRY(inner_.put(ctx, name, source));
      return Error(Code::kUnknownOutcome, "store", "simulated: the put may have happened");
    }
    TRY_LET(block::Stored stored, inner_.put(ctx, name, source));
    TRY(life_.answer());
    return stored;
  }
  Result<std::unique_ptr<block::ByteReader>> open(const Context& ctx, const block::Name& name, uint64_t offset,
                                                  std::optional<uint64_t> length) override {
    TRY(life_.pass("open"));
    return inner_.open(ctx, name, offset, length);
  }
  Result<block::Info> stat(const Context& ctx, const block::Name& name) override {
    TRY(life_.pass("stat"));
    return inner_.stat(ctx, name);
  }
  Result<void> list(const Context& ctx, std::string_view prefix,
                    const std::function<Result<void>(const block::Name&, const block::Info&)>& each) override {
    TRY(life_.pass("list"));
    return inner_.list(ctx, prefix, each);
  }
  Result<void> remove(const Context& ctx, const block::Name& name) override {
    TRY(life_.pass("remove"));
    TRY(inner_.remove(ctx, name));
    return life_.answer();
  }
  Result<uint64_t> stored_bytes(const Context& ctx) override { return inner_.stored_bytes(ctx); }

 private:
  block::Store& inner_;
  Life& life_;
};

/// One start of the server.
struct Server {
  Server(Simulation& simulation, kv::Store& kv_, block::Store& blocks_, uint64_t seed)
      : life(simulation), kv(kv_, life), blocks(blocks_, life), clock(simulation), random(seed) {}
  Life life;
  SimulatedKv kv;
  SimulatedBlocks blocks;
  base::testing::SimulatedClock clock;
  base::SeededRandom random;
  std::unique_ptr<versioning::Engine> engine;  ///< last: it uses all of the above
};

}  // namespace tarn::simulation
