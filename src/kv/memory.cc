#include "kv/memory.h"

#include <map>
#include <set>

#include "base/mutex.h"
#include "kv/detail/check.h"

namespace tarn::kv {
namespace {

/// What a key was from one apply on: a value, or nothing.
struct Cell {
  Sequence version;
  std::optional<std::string> value;
};

/// Every key with its cells, oldest first. Views name a moment; cells that no view can see are dropped.
class Versions {
 public:
  Sequence pin() {
    base::Lock lock(mutex_);
    pinned_.insert(last_);
    return last_;
  }
  void unpin(Sequence at) {
    base::Lock lock(mutex_);
    pinned_.erase(pinned_.find(at));
    if (!pinned_.empty()) return;
    for (const std::string& key : crowded_) trim(key);
    crowded_.clear();
  }
  std::optional<Row> get(std::string_view key, Sequence at) {
    base::Lock lock(mutex_);
    const auto it = cells_.find(key);
    return it == cells_.end() ? std::nullopt : seen(it->second, at);
  }
  std::optional<Row> get_latest(std::string_view key) {
    base::Lock lock(mutex_);
    const auto it = cells_.find(key);
    return it == cells_.end() ? std::nullopt : seen(it->second, last_);
  }
  /// The first visible row with key >= from (or > from) and the prefix.
  std::optional<KeyRow> first(std::string_view prefix, const std::string& from, bool after, Sequence at) {
    base::Lock lock(mutex_);
    auto it = after ? cells_.upper_bound(from) : cells_.lower_bound(from);
    for (; it != cells_.end() && it->first.starts_with(prefix); ++it)
      if (auto row = seen(it->second, at)) return KeyRow{it->first, std::move(*row)};
    return std::nullopt;
  }
  Result<Sequence> apply(const Batch& batch) {
    base::Lock lock(mutex_);
    for (const auto& step : batch.steps())
      if (detail::is_precondition(step.kind)) TRY(detail::check(step, version_of(step.key)));
    const Sequence sequence = ++last_;
    for (const auto& step : batch.steps()) write(step, sequence);
    return sequence;
  }

 private:
  static std::optional<Row> seen(const std::vector<Cell>& cells, Sequence at) {
    for (auto cell = cells.rbegin(); cell != cells.rend(); ++cell) {
      if (cell->version > at) continue;
      if (!cell->value) return std::nullopt;
      return Row{*cell->value, cell->version};
    }
    return std::nullopt;
  }
  std::optional<Sequence> version_of(std::string_view key) {
    const auto it = cells_.find(key);
    if (it == cells_.end() || !it->second.back().value) return std::nullopt;
    return it->second.back().version;
  }
  void write(const Batch::Step& step, Sequence sequence) {
    switch (step.kind) {
      case Batch::Kind::kPut:
        set(step.key, sequence, step.value);
        break;
      case Batch::Kind::kErase:
        if (version_of(step.key)) set(step.key, sequence, std::nullopt);
        break;
      case Batch::Kind::kEraseIfVersion:
        if (version_of(step.key) == step.version) set(step.key, sequence, std::nullopt);
        break;
      case Batch::Kind::kEraseRange: {
        std::vector<std::string> keys;
        for (auto it = cells_.lower_bound(step.key); it != cells_.end(); ++it) {
          if (!step.value.empty() && it->first >= step.value) break;
          if (it->second.back().value) keys.push_back(it->first);
        }
        for (const auto& key : keys) set(key, sequence, std::nullopt);
        break;
      }
      case Batch::Kind::kRequireAbsent:
      case Batch::Kind::kRequireVersion:
      case Batch::Kind::kRequirePresent:
        break;
    }
  }
  void set(const std::string& key, Sequence sequence, std::optional<std::string> value) {
    auto& cells = cells_[key];
    if (!cells.empty() && cells.back().version == sequence)
      cells.back().value = std::move(value);
    else
      cells.push_back({sequence, std::move(value)});
    if (pinned_.empty())
      trim(key);
    else
      crowded_.insert(key);
  }
  void trim(const std::string& key) {
    const auto it = cells_.find(key);
    if (it == cells_.end()) return;
    auto& cells = it->second;
    cells.erase(cells.begin(), cells.end() - 1);
    if (!cells.back().value) cells_.erase(it);
  }

  base::Mutex mutex_;
  std::map<std::string, std::vector<Cell>, std::less<>> cells_;
  Sequence last_ = 0;
  std::multiset<Sequence> pinned_;
  std::set<std::string> crowded_;  ///< keys with cells to drop once nothing is pinned
};

/// Keeps one moment visible while it lives.
struct Pin {
  explicit Pin(std::shared_ptr<Versions> v) : versions(std::move(v)), at(versions->pin()) {}
  ~Pin() { versions->unpin(at); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  std::shared_ptr<Versions> versions;
  Sequence at;
};

class MemoryIterator final : public Iterator {
 public:
  MemoryIterator(std::shared_ptr<Pin> pin, std::string_view prefix, std::string_view from)
      : pin_(std::move(pin)), prefix_(prefix), position_(std::max(prefix, from)) {}
  Result<std::optional<KeyRow>> next() override {
    auto row = pin_->versions->first(prefix_, position_, after_, pin_->at);
    if (row) {
      position_ = row->key;
      after_ = true;
    }
    return row;
  }

 private:
  std::shared_ptr<Pin> pin_;
  std::string prefix_;
  std::string position_;
  bool after_ = false;
};

class MemoryView final : public View {
 public:
  explicit MemoryView(std::shared_ptr<Pin> pin) : pin_(std::move(pin)) {}
  Result<std::optional<Row>> get(std::string_view key) override { return pin_->versions->get(key, pin_->at); }
  std::unique_ptr<Iterator> scan(std::string_view prefix, std::string_view from) override {
    return std::make_unique<MemoryIterator>(pin_, prefix, from);
  }
  Sequence sequence() const override { return pin_->at; }

 private:
  std::shared_ptr<Pin> pin_;
};

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(base::Clock& clock) : clock_(clock) {}
  Result<std::optional<Row>> get(const Context& ctx, std::string_view key) override {
    TRY(ctx.check(clock_));
    return versions_->get_latest(key);
  }
  std::unique_ptr<Iterator> scan(const Context&, std::string_view prefix, std::string_view from) override {
    return std::make_unique<MemoryIterator>(std::make_shared<Pin>(versions_), prefix, from);
  }
  Result<std::unique_ptr<View>> view(const Context& ctx) override {
    TRY(ctx.check(clock_));
    return std::unique_ptr<View>(new MemoryView(std::make_shared<Pin>(versions_)));
  }
  Result<Sequence> apply(const Context& ctx, const Batch& batch) override {
    TRY(ctx.check(clock_));
    return versions_->apply(batch);
  }

 private:
  base::Clock& clock_;
  std::shared_ptr<Versions> versions_ = std::make_shared<Versions>();
};

}  // namespace

std::unique_ptr<Store> make_memory_store(base::Clock& clock) { return std::make_unique<MemoryStore>(clock); }

}  // namespace tarn::kv
