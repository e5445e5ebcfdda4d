#include "block/memory.h"

#include <map>

#include "base/hash.h"
#include "base/mutex.h"
#include "block/detail.h"

namespace tarn::block {
namespace {

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(base::Clock& clock) : clock_(clock) {}

  Result<Stored> put(const Context& ctx, const Name& name, ByteSource& source) override {
    TRY(make_name(name.str()));
    if (find(name)) return detail::already_exists(name);
    auto bytes = std::make_shared<std::string>();
    std::string chunk(64 << 10, '\0');
    while (true) {
      TRY(ctx.check(clock_));
      TRY_LET(const size_t got, source.read(chunk.data(), chunk.size()));
      if (got == 0) break;
      bytes->append(chunk, 0, got);
    }
    Stored stored{bytes->size(), base::md5(*bytes)};
    base::Lock lock(mutex_);
    if (!objects_.emplace(name.str(), std::move(bytes)).second) return detail::already_exists(name);
    return stored;
  }
  Result<std::unique_ptr<ByteReader>> open(const Context& ctx, const Name& name, uint64_t offset,
                                           std::optional<uint64_t> length) override {
    TRY(ctx.check(clock_));
    auto bytes = find(name);
    if (!bytes) return detail::not_found(name);
    TRY_LET(const uint64_t count, detail::clamp(name, bytes->size(), offset, length));
    return std::unique_ptr<ByteReader>(new detail::SharedReader(std::move(bytes), offset, count));
  }
  Result<Info> stat(const Context& ctx, const Name& name) override {
    TRY(ctx.check(clock_));
    const auto bytes = find(name);
    if (!bytes) return detail::not_found(name);
    return Info{bytes->size()};
  }
  Result<void> list(const Context& ctx, std::string_view prefix,
                    const std::function<Result<void>(const Name&, const Info&)>& each) override {
    std::vector<std::pair<Name, Info>> found;
    {
      base::Lock lock(mutex_);
      for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.starts_with(prefix); ++it)
        found.emplace_back(Name(it->first), Info{it->second->size()});
    }
    for (const auto& [name, info] : found) {
      TRY(ctx.check(clock_));
      TRY(each(name, info));
    }
    return {};
  }
  Result<void> remove(const Context& ctx, const Name& name) override {
    TRY(ctx.check(clock_));
    base::Lock lock(mutex_);
    objects_.erase(name.str());
    return {};
  }
  Result<uint64_t> stored_bytes(const Context& ctx) override {
    TRY(ctx.check(clock_));
    base::Lock lock(mutex_);
    uint64_t total = 0;
    for (const auto& [name, bytes] : objects_) total += bytes->size();
    return total;
  }

 private:
  std::shared_ptr<const std::string> find(const Name& name) {
    base::Lock lock(mutex_);
    const auto it = objects_.find(name.str());
    return it == objects_.end() ? nullptr : it->second;
  }

  base::Clock& clock_;
  base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const std::string>, std::less<>> objects_;
};

}  // namespace

std::unique_ptr<Store> make_memory_store(base::Clock& clock) { return std::make_unique<MemoryStore>(clock); }

}  // namespace tarn::block
