#include "block/disk_cache.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>

#include <fmt/format.h>

#include "block/detail.h"

namespace tarn::block {
namespace {

using cache_file::Kind;

constexpr uint64_t kToTheEnd = UINT64_MAX;
constexpr size_t kHeldBlocks = 8;
constexpr size_t kFirstBytes = 32 << 10;

bool is_hex(std::string_view text, size_t digits, std::string_view also = {}) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [&](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || also.find(c) != std::string_view::npos;
         });
}

/// Cuts the last segment off.
std::string_view cut(std::string_view& rest) {
  const size_t slash = rest.rfind('/');
  if (slash == std::string_view::npos) return std::exchange(rest, {});
  const auto last = rest.substr(slash + 1);
  rest = rest.substr(0, slash);
  return last;
}

/// Remembers what passes, up to a limit.
class Capture final : public ByteSource {
 public:
  Capture(ByteSource& inner, uint64_t bytes_max) : inner_(inner), bytes_max_(bytes_max) {}
  Result<size_t> read(char* buffer, size_t size) override {
    TRY_LET(const size_t got, inner_.read(buffer, size));
    whole_ = whole_ && bytes_.size() + got <= bytes_max_;
    if (whole_)
      bytes_.append(buffer, got);
    else
      std::string().swap(bytes_);
    return got;
  }
  bool whole() const { return whole_; }
  std::string_view bytes() const { return bytes_; }

 private:
  ByteSource& inner_;
  const uint64_t bytes_max_;
  std::string bytes_;
  bool whole_ = true;
};

/// A request to the store beneath that stands open at `position`.
struct Stream {
  std::unique_ptr<ByteReader> reader;
  uint64_t position = 0;
  CacheFolder::Ticket ticket = 0;
};

/// A part of one block, and how long the whole block is: shorter than others only at the object's end.
struct Piece {
  std::string bytes;
  uint64_t block_length = 0;
};

}  // namespace

std::optional<Kind> kind_of_immutable(const Name& name) {
  std::string_view rest = name.str();
  const auto last = cut(rest);
  const bool pack = is_hex(last, 36, "-");
  if (!pack && !is_hex(last, 16)) return std::nullopt;
  const auto before = cut(rest);
  if (pack) return before == "packs" && !rest.empty() ? std::optional(Kind::kPack) : std::nullopt;
  if (!is_hex(before, 16) || cut(rest) != "data" || rest.empty()) return std::nullopt;
  return Kind::kData;
}

/// Blocks that are on their way from the store: who misses one of them waits for it.
class DiskCache::Flights {
 public:
  using Block = std::shared_ptr<const std::string>;
  struct Flight {
    std::optional<Result<Block>> result;
  };
  struct Turn {
    std::shared_ptr<Flight> flight;
    bool leads = false;
  };

  /// The flight of a block; who leads it must land it, and then clear it.
  Turn join(const std::string& name, uint64_t offset) {
    base::Lock lock(mutex_);
    auto& flight = flights_[{name, offset}];
    if (flight) return {flight, false};
    flight = std::make_shared<Flight>();
    return {flight, true};
  }
  void land(Flight& flight, Result<Block> result) {
    base::Lock lock(mutex_);
    flight.result = std::move(result);
    landed_.notify_all();
  }
  Result<Block> wait(const Context& ctx, base::Clock& clock, const Flight& flight) {
    base::Lock lock(mutex_);
    while (!landed_.wait_for(lock, std::chrono::milliseconds(50), [&] { return flight.result.has_value(); }))
      TRY(ctx.check(clock));
    return *flight.result;
  }
  void clear(const std::string& name, uint64_t offset, const std::shared_ptr<Flight>& flight) {
    base::Lock lock(mutex_);
    const auto it = flights_.find({name, offset});
    if (it != flights_.end() && it->second == flight) flights_.erase(it);
  }
  /// Nobody joins a flight of this name any more that took off before.
  void detach(const std::string& name) {
    base::Lock lock(mutex_);
    flights_.erase(flights_.lower_bound({name, 0}), flights_.upper_bound({name, UINT64_MAX}));
  }

 private:
  base::Mutex mutex_;
  base::Condition landed_;
  std::map<std::pair<std::string, uint64_t>, std::shared_ptr<Flight>> flights_;
};

/// Bytes of one object, block by block: from the folder, from another reader's flight, or from the store.
class DiskCache::Reader final : public ByteReader {
 public:
  Reader(DiskCache& cache, const Context& ctx, CachedObject object, uint64_t offset, std::optional<uint64_t> length)
      : cache_(cache), ctx_(ctx), object_(std::move(object)), position_(offset) {
    if (length && *length < kToTheEnd - offset) end_ = offset + *length;
  }

  /// Reads the first piece, which tells whether object and range are there.
  Result<void> start() {
    if (const auto size = cache_.folder_->size_of(object_)) {
      TRY_LET(const uint64_t count, detail::clamp(Name(object_.name), *size, position_, end_ - position_));
      end_ = position_ + count;
      if (count == 0 && *size > 0) return {};
    }
    auto first = next_piece();
    if (!first && first.error().code() == Code::kInvalid)
      return first.error().wrap(Code::kInvalid, "range",
                                fmt::format("offset {} is behind the end of {}", position_, object_.name));
    TRY_LET(piece_, std::move(first));
    return {};
  }

  /// Takes hold of what follows, so that it stays readable when the object is removed.
  void hold() {
    const uint64_t step = cache_.folder_->block_bytes();
    for (uint64_t block = position_; block < end_ && held_.size() < kHeldBlocks && !followed_; block += step) {
      if (auto open = cache_.folder_->find(object_, block)) {
        const bool last = open->file().length < step;
        held_.push_back(std::move(*open));
        if (last) return;
        continue;
      }
      if (!stream_.reader) (void)reopen(block);  // an error shows when the block is read
      return;
    }
  }

  Result<size_t> read(char* buffer, size_t size) override {
    if (taken_ == piece_.size()) TRY(refill());
    const size_t count = std::min(size, piece_.size() - taken_);
    std::memcpy(buffer, piece_.data() + taken_, count);
    taken_ += count;
    return count;
  }

  Result<std::string> rest() {
    std::string all = std::move(piece_);
    piece_.clear();
    while (true) {
      TRY_LET(const std::string more, next_piece());
      if (more.empty()) return all;
      all.append(more);
    }
  }

 private:
  Result<void> refill() {
    piece_.clear();  // its memory goes before the next block comes
    taken_ = 0;
    TRY_LET(piece_, next_piece());
    return {};
  }

  /// Empty only at the end.
  Result<std::string> next_piece() {
    const uint64_t step = cache_.folder_->block_bytes(), from = position_ % step, block = position_ - from;
    if (position_ == end_ && started_) return std::string();
    started_ = true;
    TRY_LET(Piece piece, get(block, from, std::min(step, end_ - block)));
    if (from > piece.block_length)
      return Error(Code::kInvalid, "range", "offset behind the end");  // said better by start()
    if (piece.block_length < step) end_ = std::min(end_, block + piece.block_length);
    position_ += piece.bytes.size();
    return std::move(piece.bytes);
  }

  std::optional<Piece> from_folder(uint64_t block, uint64_t from, uint64_t to) {
    std::optional<CacheFolder::Open> open;
    while (!held_.empty() && held_.front().file().offset < block) held_.pop_front();
    if (!held_.empty() && held_.front().file().offset == block) {
      open = std::move(held_.front());
      held_.pop_front();
    } else {
      open = cache_.folder_->find(object_, block);
    }
    if (!open) return std::nullopt;
    const uint64_t length = open->file().length;
    auto bytes = open->read(std::min(from, length), std::min(to, length));
    if (!bytes) return std::nullopt;
    return Piece{std::move(*bytes), length};
  }

  static Piece part_of(const std::string& block, uint64_t from, uint64_t to) {
    const uint64_t end = std::min<uint64_t>(to, block.size()), start = std::min(from, end);
    return {block.substr(start, end - start), block.size()};
  }

  Result<Piece> get(uint64_t block, uint64_t from, uint64_t to) {
    while (true) {
      if (auto piece = from_folder(block, from, to)) {
        cache_.hits_.add();
        cache_.hit_bytes_.add(static_cast<int64_t>(piece->bytes.size()));
        return std::move(*piece);
      }
      const auto turn = cache_.flights_->join(object_.name, block);
      if (turn.leads) return lead(turn.flight, block, from, to);
      auto landed = cache_.flights_->wait(ctx_, *cache_.options_.clock, *turn.flight);
      if (landed) {
        followed_ = true;
        cache_.coalesced_.add();
        return part_of(**landed, from, to);
      }
      // The leader's own end is not ours: try again, perhaps as the leader.
      const Code code = landed.error().code();
      if (code != Code::kDeadline && code != Code::kCancelled) return landed.error();
      TRY(ctx_.check(*cache_.options_.clock));
    }
  }

  Result<Piece> lead(const std::shared_ptr<Flights::Flight>& flight, uint64_t block, uint64_t from, uint64_t to) {
    // Another flight may have landed between the look into the folder and this one.
    auto here = from_folder(block, 0, cache_.folder_->block_bytes());
    if (here) {
      cache_.hits_.add();
      cache_.hit_bytes_.add(static_cast<int64_t>(to - std::min(from, to)));
    }
    auto bytes = here ? Result<std::string>(std::move(here->bytes)) : fetch(block);
    if (!bytes) {
      cache_.flights_->land(*flight, bytes.error());
      cache_.flights_->clear(object_.name, block, flight);
      return std::move(bytes).error();
    }
    const auto whole = std::make_shared<const std::string>(std::move(*bytes));
    cache_.flights_->land(*flight, whole);
    if (!here) {
      const bool last = whole->size() < cache_.folder_->block_bytes();
      if (last) cache_.folder_->learn_size(object_, block + whole->size(), stream_.ticket);
      if (!whole->empty() || block == 0) cache_.folder_->keep(object_, block, *whole, stream_.ticket);
    }
    cache_.flights_->clear(object_.name, block, flight);
    return part_of(*whole, from, to);
  }

  /// The whole block out of the store.
  Result<std::string> fetch(uint64_t block) {
    if (!stream_.reader || stream_.position != block) TRY(reopen(block));
    cache_.misses_.add();
    const uint64_t step = cache_.folder_->block_bytes();
    std::string bytes;
    while (bytes.size() < step) {
      const size_t filled = bytes.size();
      bytes.resize(std::min<size_t>(step, std::max<size_t>(kFirstBytes, filled * 8)));
      auto got = detail::read_full(*stream_.reader, bytes.data() + filled, bytes.size() - filled);
      if (!got) {
        stream_ = {};
        return std::move(got).error();
      }
      const bool ended = *got < bytes.size() - filled;
      bytes.resize(filled + *got);
      if (ended) break;
    }
    stream_.position += bytes.size();
    cache_.fetched_bytes_.add(static_cast<int64_t>(bytes.size()));
    return bytes;
  }

  /// One request for all that this reader may still want, in whole blocks.
  Result<void> reopen(uint64_t block) {
    const uint64_t step = cache_.folder_->block_bytes();
    const uint64_t wanted = std::max<uint64_t>(end_ - block, 1);
    std::optional<uint64_t> length;
    if (end_ <= kToTheEnd - step) length = (wanted + step - 1) / step * step;
    const auto ticket = cache_.folder_->ticket(object_);
    auto opened = cache_.inner_.open(ctx_, Name(object_.name), block, length);
    if (opened) {
      stream_ = {std::move(*opened), block, ticket};
      return {};
    }
    // Removed since: the old request still has it.
    if (opened.error().code() != Code::kNotFound || !stream_.reader || stream_.position > block) return opened.error();
    std::string skipped(std::min<uint64_t>(step, block - stream_.position), '\0');
    while (stream_.position < block) {
      const size_t want = std::min<uint64_t>(skipped.size(), block - stream_.position);
      TRY_LET(const size_t got, stream_.reader->read(skipped.data(), want));
      if (got == 0) return opened.error();
      stream_.position += got;
    }
    return {};
  }

  DiskCache& cache_;
  const Context ctx_;
  const CachedObject object_;
  uint64_t position_, end_ = kToTheEnd;
  bool started_ = false;
  bool followed_ = false;  ///< got a block through another reader, which has the request to the store
  std::string piece_;
  size_t taken_ = 0;
  Stream stream_;
  std::deque<CacheFolder::Open> held_;
};

Result<std::unique_ptr<DiskCache>> DiskCache::open(base::Disk& disk, const std::string& folder, Store& inner,
                                                   DiskCacheOptions options) {
  TRY_LET(auto cached,
          CacheFolder::open(disk, folder,
                            {options.bytes_max, options.block_bytes, options.store, options.clock, options.retry_ms}));
  return std::unique_ptr<DiskCache>(new DiskCache(inner, std::move(cached), std::move(options)));
}

DiskCache::DiskCache(Store& inner, std::unique_ptr<CacheFolder> folder, DiskCacheOptions options)
    : Forwarding(inner),
      options_(std::move(options)),
      folder_(std::move(folder)),
      flights_(std::make_unique<Flights>()) {}

DiskCache::~DiskCache() = default;

Result<Stored> DiskCache::put(const Context& ctx, const Name& name, ByteSource& source) {
  const auto kind = options_.kind_of(name);
  if (!kind) return inner_.put(ctx, name, source);
  const CachedObject object = folder_->object(name.str(), *kind);
  if (folder_->holds(object)) (void)folder_->drop(object);  // somebody else removed it, if the name is free
  const auto ticket = folder_->ticket(object);
  Capture capture(source, *kind == Kind::kPack ? options_.keep_written_bytes_max : 0);
  TRY_LET(Stored stored, inner_.put(ctx, name, capture));
  if (!capture.whole() || capture.bytes().size() != stored.size) return stored;
  folder_->learn_size(object, stored.size, ticket);
  for (uint64_t at = 0; at < stored.size; at += options_.block_bytes)
    folder_->keep(object, at, capture.bytes().substr(at, options_.block_bytes), ticket);
  return stored;
}

Result<std::unique_ptr<ByteReader>> DiskCache::open(const Context& ctx, const Name& name, uint64_t offset,
                                                    std::optional<uint64_t> length) {
  const auto kind = options_.kind_of(name);
  if (!kind) return inner_.open(ctx, name, offset, length);
  TRY(ctx.check(*options_.clock));
  auto reader = std::make_unique<Reader>(*this, ctx, folder_->object(name.str(), *kind), offset, length);
  TRY(reader->start());
  reader->hold();
  return std::unique_ptr<ByteReader>(std::move(reader));
}

Result<std::string> DiskCache::read(const Context& ctx, const Name& name, uint64_t offset,
                                    std::optional<uint64_t> length) {
  const auto kind = options_.kind_of(name);
  if (!kind) return inner_.read(ctx, name, offset, length);
  TRY(ctx.check(*options_.clock));
  Reader reader(*this, ctx, folder_->object(name.str(), *kind), offset, length);
  TRY(reader.start());
  return reader.rest();
}

Result<Info> DiskCache::stat(const Context& ctx, const Name& name) {
  const auto kind = options_.kind_of(name);
  if (!kind) return inner_.stat(ctx, name);
  TRY(ctx.check(*options_.clock));
  const CachedObject object = folder_->object(name.str(), *kind);
  if (const auto size = folder_->size_of(object)) return Info{*size};
  const auto ticket = folder_->ticket(object);
  TRY_LET(const Info info, inner_.stat(ctx, name));
  folder_->learn_size(object, info.size, ticket);
  return info;
}

Result<void> DiskCache::remove(const Context& ctx, const Name& name) {
  const auto kind = options_.kind_of(name);
  if (!kind) return inner_.remove(ctx, name);
  TRY(ctx.check(*options_.clock));
  const CachedObject object = folder_->object(name.str(), *kind);
  const auto drop = [&] {
    flights_->detach(name.str());
    return folder_->drop(object);
  };
  TRY(drop());
  TRY(inner_.remove(ctx, name));
  return drop();  // what was read from the store meanwhile
}

DiskCache::Stats DiskCache::stats() {
  return {hits_.value(),      misses_.value(),     coalesced_.value(), folder_->evictions(),
          folder_->damaged(), folder_->failures(), folder_->bytes()};
}

}  // namespace tarn::block
