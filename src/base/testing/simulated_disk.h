#pragma once
// A disk in memory that can fill up, fail, and lose what was not synced; and that can be played again, step by step.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "base/random.h"

namespace tarn::base::testing {

/// What a fault hook is asked about.
enum class DiskOp { kOpen, kRead, kAppend, kSync, kTruncate, kRename, kRemove, kSyncDirectory, kMakeDirectories };

/// One operation that changed something, as it was recorded. Of kOpen: a file was made.
struct DiskStep {
  DiskOp op = DiskOp::kOpen;
  uint64_t file = 0;  ///< of kOpen, kAppend, kSync, kTruncate: the same number is the same file, whatever its name
  std::string path, to, bytes;
  uint64_t size = 0;
};

/// What a crash leaves of that which was not synced.
struct Crash {
  enum class Bytes {
    kLost,
    kKept,
    kPrefix,  ///< of each file up to some length
    kTorn     ///< each 512-byte sector up to some length with probability 1/2; a missing one reads as zeros
  } bytes = Bytes::kLost;
  /// A name that was made, moved or removed. A move is one thing: the file has its old name or its new one.
  enum class Names { kLost, kKept, kSome } names = Names::kLost;
  uint64_t seed = 0;
};

/// Semantics: bytes of a file are durable after its sync(); a name (made, moved, removed) after sync_directory() of its
/// folder. Folders themselves are durable at once (a simplification). crash() forgets the rest, wholly or in torn
/// parts, and kills all open files. Threads: any; one lock.
class SimulatedDisk final : public Disk {
 public:
  /// How much of what was not synced survives a crash.
  enum class Loss {
    kAll,     ///< nothing unsynced survives
    kPrefix,  ///< unsynced appends survive up to some length, names with probability 1/2: an ordered file system
    kTorn     ///< each unsynced 512-byte sector and each unsynced name survives with probability 1/2
  };

  /// Asked before every operation; an Error makes it fail (an append then writes nothing).
  using Fault = std::function<std::optional<Error>(DiskOp, const std::string& path)>;
  void set_fault(Fault fault) {
    Lock lock(mutex_);
    fault_ = std::move(fault);
  }
  /// Appends beyond this many bytes in all files write what fits and answer kNoSpace.
  void set_capacity(uint64_t bytes) {
    Lock lock(mutex_);
    capacity_ = bytes;
  }
  /// After `operations` more mutating ones everything fails, as for a process that just died.
  void stop_after(int64_t operations) {
    Lock lock(mutex_);
    countdown_ = operations;
  }
  bool stopped() {
    Lock lock(mutex_);
    return countdown_ == 0;
  }
  void crash(Loss loss, uint64_t seed = 0) {
    if (loss == Loss::kAll) return crash(Crash{Crash::Bytes::kLost, Crash::Names::kLost, seed});
    crash(Crash{loss == Loss::kPrefix ? Crash::Bytes::kPrefix : Crash::Bytes::kTorn, Crash::Names::kSome, seed});
  }
  void crash(const Crash& how) {
    Lock lock(mutex_);
    SeededRandom random(how.seed);
    if (how.names == Crash::Names::kLost) names_ = durable_names_;
    if (how.names == Crash::Names::kSome) names_ = some_names(random);
    durable_names_ = names_;
    for (auto& [path, node] : names_) {
      if (how.bytes == Crash::Bytes::kKept) node->durable = node->bytes;
      if (how.bytes == Crash::Bytes::kPrefix || how.bytes == Crash::Bytes::kTorn)
        tear(*node, how.bytes == Crash::Bytes::kTorn, random);
      node->bytes = node->durable;
    }
    ++generation_;
    countdown_ = -1;
    fault_ = nullptr;
    recording_ = nullptr;
  }

  /// From now on every operation that changes something is added to `steps`, which outlives the recording.
  void record(std::vector<DiskStep>* steps) {
    Lock lock(mutex_);
    recording_ = steps;
  }
  /// Does what was recorded on another disk. A disk that is played to has no other user.
  void play(const DiskStep& step) {
    Lock lock(mutex_);
    switch (step.op) {
      case DiskOp::kOpen:
        played_[step.file] = make_file(step.path);
        break;
      case DiskOp::kAppend:
        played_.at(step.file)->bytes += step.bytes;
        break;
      case DiskOp::kSync:
        sync_file(*played_.at(step.file));
        break;
      case DiskOp::kTruncate:
        played_.at(step.file)->bytes.resize(step.size);
        break;
      case DiskOp::kRename:
        rename_file(step.path, step.to);
        break;
      case DiskOp::kRemove:
        remove_below(step.path);
        break;
      case DiskOp::kSyncDirectory:
        sync_names(step.path);
        break;
      case DiskOp::kMakeDirectories:
        make_folders(step.path);
        break;
      case DiskOp::kRead:
        break;
    }
  }
  /// The same files, synced and not, on a disk of their own.
  std::unique_ptr<SimulatedDisk> copy() {
    Lock lock(mutex_);
    auto out = std::make_unique<SimulatedDisk>();
    std::map<const Node*, std::shared_ptr<Node>> nodes;
    const auto same = [&](const std::shared_ptr<Node>& node) {
      auto& found = nodes[node.get()];
      if (!found) found = std::make_shared<Node>(*node);
      return found;
    };
    for (const auto& [path, node] : names_) out->names_.emplace_hint(out->names_.end(), path, same(node));
    for (const auto& [path, node] : durable_names_)
      out->durable_names_.emplace_hint(out->durable_names_.end(), path, same(node));
    out->directories_ = directories_;
    out->next_file_ = next_file_;
    out->ticks_ = ticks_;
    for (const auto& [path, node] : out->names_) out->played_[node->number] = node;
    for (const auto& [path, node] : out->durable_names_) out->played_[node->number] = node;
    return out;
  }
  /// Syncs are answered and do nothing: a disk that lies. Of a folder, when `folders`; of a file, when `files` says so.
  void ignore_syncs(bool folders, std::function<bool(const std::string& path)> files) {
    Lock lock(mutex_);
    ignore_folder_syncs_ = folders;
    ignore_file_syncs_ = std::move(files);
  }
  /// Of all that a reader sees: equal for equal disks.
  uint64_t digest() {
    Lock lock(mutex_);
    Xxh3Stream hash;
    for (const auto& [path, node] : names_) {
      hash.update(path);
      hash.update(std::string_view("\0", 1));
      hash.update(std::to_string(node->bytes.size()));
      hash.update(std::string_view("\0", 1));
      hash.update(node->bytes);
    }
    uint64_t out = 0;
    const std::string bytes = hash.finish();
    std::memcpy(&out, bytes.data(), std::min(sizeof out, bytes.size()));
    return out;
  }
  /// Changes stored bytes behind everybody's back: bit rot.
  void flip(const std::string& path, uint64_t offset) {
    Lock lock(mutex_);
    auto& node = *names_.at(path);
    node.bytes.at(offset) = static_cast<char>(node.bytes.at(offset) ^ 0x40);
    node.durable = node.bytes;
  }
  std::vector<std::string> paths() {
    Lock lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [path, node] : names_) out.push_back(path);
    return out;
  }
  int64_t count(DiskOp op) const { return counts_[static_cast<size_t>(op)].load(); }

  Result<std::unique_ptr<File>> open(const std::string& given, OpenMode mode) override {
    const std::string path = tidy(given);
    Lock lock(mutex_);
    TRY(ask(DiskOp::kOpen, path, false));
    const auto it = names_.find(path);
    if (it == names_.end()) {
      if (mode == OpenMode::kRead) return not_found(path);
      TRY(step());
      if (!directories_.contains(parent(path))) return not_found(parent(path));
      const auto node = make_file(path);
      note({DiskOp::kOpen, node->number, path});
      return std::unique_ptr<File>(new OpenFile(*this, node, path));
    }
    if (mode == OpenMode::kCreate) return Error(Code::kAlreadyExists, "file", path + " exists");
    return std::unique_ptr<File>(new OpenFile(*this, it->second, path));
  }
  Result<FileInfo> stat(const std::string& given) override {
    const std::string path = tidy(given);
    Lock lock(mutex_);
    if (directories_.contains(path)) return FileInfo{0, 0, true};
    const auto it = names_.find(path);
    if (it == names_.end()) return not_found(path);
    return FileInfo{it->second->bytes.size(), it->second->mtime_ns, false};
  }
  Result<void> make_directories(const std::string& given) override {
    const std::string path = tidy(given);
    Lock lock(mutex_);
    if (directories_.contains(path)) return {};
    make_folders(path);
    note({DiskOp::kMakeDirectories, 0, path});
    return {};
  }
  Result<std::vector<std::string>> list(const std::string& given) override {
    const std::string path = tidy(given);
    Lock lock(mutex_);
    TRY(ask(DiskOp::kRead, path, false));
    if (!directories_.contains(path)) return not_found(path);
    std::set<std::string> out;
    for (const auto& [name, node] : names_)
      if (parent(name) == path) out.insert(name.substr(path.size() + 1));
    for (const auto& name : directories_)
      if (parent(name) == path) out.insert(name.substr(path.size() + 1));
    return std::vector<std::string>(out.begin(), out.end());
  }
  Result<void> rename_exclusive(const std::string& from, const std::string& to) override {
    return move(tidy(from), tidy(to), true);
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return move(tidy(from), tidy(to), false);
  }
  Result<void> remove(const std::string& given) override {
    const std::string path = tidy(given);
    Lock lock(mutex_);
    TRY(ask(DiskOp::kRemove, path, true));
    if (!names_.contains(path)) return {};
    names_.erase(path);
    note({DiskOp::kRemove, 0, path});
    return {};
  }
  Result<void> remove_all(const std::string& given) override {
    const std::string path = tidy(given);
    Lock lock(mutex_);
    TRY(ask(DiskOp::kRemove, path, true));
    remove_below(path);
    note({DiskOp::kRemove, 0, path});
    return {};
  }
  Result<void> sync_directory(const std::string& given) override {
    const std::string path = tidy(given);
    Lock lock(mutex_);
    TRY(ask(DiskOp::kSyncDirectory, path, true));
    if (ignore_folder_syncs_) return {};
    sync_names(path);
    note({DiskOp::kSyncDirectory, 0, path});
    return {};
  }
  /// Locks are not simulated: one process.
  Result<std::shared_ptr<void>> lock(const std::string&) override { return std::shared_ptr<void>(); }
  Result<std::string> real_path(const std::string& path) override { return path; }
  Result<uint64_t> free_bytes(const std::string&) override {
    Lock lock(mutex_);
    return capacity_ - std::min(capacity_, used());
  }

 private:
  struct Node {
    std::string bytes;    ///< what a reader sees
    std::string durable;  ///< what the last sync made certain
    int64_t mtime_ns = 0;
    uint64_t number = 0;  ///< of a file, in the order in which they were made
  };

  class OpenFile final : public File {
   public:
    OpenFile(SimulatedDisk& disk, std::shared_ptr<Node> node, std::string path)
        : disk_(disk), node_(std::move(node)), path_(std::move(path)), generation_(disk.generation_) {}
    Result<std::string> read(uint64_t offset, size_t length) override {
      Lock lock(disk_.mutex_);
      TRY(alive());
      TRY(disk_.ask(DiskOp::kRead, path_, false));
      if (offset + length > node_->bytes.size())
        return Error(Code::kCorrupt, "file", path_ + " ends before the bytes asked for");
      return node_->bytes.substr(offset, length);
    }
    Result<void> append(std::string_view bytes) override {
      Lock lock(disk_.mutex_);
      TRY(alive());
      TRY(disk_.ask(DiskOp::kAppend, path_, true));
      const uint64_t room = disk_.capacity_ - std::min(disk_.capacity_, disk_.used());
      node_->bytes.append(bytes.substr(0, room));
      disk_.note({DiskOp::kAppend, node_->number, path_, {}, std::string(bytes.substr(0, room))});
      node_->mtime_ns = ++disk_.ticks_;
      if (room < bytes.size()) return Error(Code::kNoSpace, "file", "writing " + path_ + ": no space left");
      return {};
    }
    Result<void> sync() override {
      Lock lock(disk_.mutex_);
      TRY(alive());
      TRY(disk_.ask(DiskOp::kSync, path_, true));
      if (disk_.ignore_file_syncs_ && disk_.ignore_file_syncs_(path_)) return {};
      sync_file(*node_);
      disk_.note({DiskOp::kSync, node_->number, path_});
      return {};
    }
    Result<uint64_t> size() override {
      Lock lock(disk_.mutex_);
      TRY(alive());
      return node_->bytes.size();
    }
    Result<FileInfo> info() override {
      Lock lock(disk_.mutex_);
      TRY(alive());
      return FileInfo{node_->bytes.size(), node_->mtime_ns, false};
    }
    Result<void> truncate(uint64_t size) override {
      Lock lock(disk_.mutex_);
      TRY(alive());
      TRY(disk_.ask(DiskOp::kTruncate, path_, true));
      node_->bytes.resize(size);
      disk_.note({DiskOp::kTruncate, node_->number, path_, {}, {}, size});
      return {};
    }
    int descriptor() const override { return -1; }

   private:
    Result<void> alive() const {
      if (generation_ == disk_.generation_) return {};
      return Error(Code::kUnavailable, "file", path_ + " was open when the machine crashed");
    }
    SimulatedDisk& disk_;
    std::shared_ptr<Node> node_;
    std::string path_;
    uint64_t generation_;
  };

  /// One slash between names and none at the end, as a kernel reads it.
  static std::string tidy(const std::string& path) {
    std::string out;
    for (const char c : path)
      if (c != '/' || out.empty() || out.back() != '/') out.push_back(c);
    if (out.size() > 1 && out.back() == '/') out.pop_back();
    return out;
  }
  static std::string parent(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
  }
  static Error not_found(const std::string& path) { return Error(Code::kNotFound, "file", path + " does not exist"); }

  Result<void> step() {
    if (countdown_ == 0) return Error(Code::kUnavailable, "file", "the process is dead");
    if (countdown_ > 0) --countdown_;
    return {};
  }
  Result<void> ask(DiskOp op, const std::string& path, bool mutating) {
    counts_[static_cast<size_t>(op)].fetch_add(1);
    if (mutating) TRY(step());
    if (countdown_ == 0 && !mutating) return Error(Code::kUnavailable, "file", "the process is dead");
    if (fault_)
      if (auto error = fault_(op, path)) return *error;
    return {};
  }
  Result<void> move(const std::string& from, const std::string& to, bool exclusive) {
    Lock lock(mutex_);
    TRY(ask(DiskOp::kRename, to, true));
    const auto it = names_.find(from);
    if (it == names_.end()) return not_found(from);
    if (exclusive && names_.contains(to)) return Error(Code::kAlreadyExists, "file", to + " exists");
    rename_file(from, to);
    note({DiskOp::kRename, 0, from, to});
    return {};
  }
  void note(DiskStep step) {
    if (recording_) recording_->push_back(std::move(step));
  }

  // What the operations do, asked by nobody.
  std::shared_ptr<Node> make_file(const std::string& path) {
    const auto node = std::make_shared<Node>();
    node->number = ++next_file_;
    names_[path] = node;
    return node;
  }
  static void sync_file(Node& node) {
    // Appends are the rule: only what is new is copied.
    if (node.durable.size() <= node.bytes.size() && node.bytes.starts_with(node.durable))
      node.durable.append(node.bytes, node.durable.size(), std::string::npos);
    else
      node.durable = node.bytes;
  }
  void rename_file(const std::string& from, const std::string& to) {
    const auto it = names_.find(from);
    const auto node = it->second;
    names_.erase(it);
    names_[to] = node;
  }
  void remove_below(const std::string& path) {
    const auto below = [&](const std::string& name) { return name == path || name.starts_with(path + "/"); };
    std::erase_if(names_, [&](const auto& entry) { return below(entry.first); });
    std::erase_if(directories_, below);
  }
  void sync_names(const std::string& path) {
    std::erase_if(durable_names_, [&](const auto& entry) { return parent(entry.first) == path; });
    for (const auto& [name, node] : names_)
      if (parent(name) == path) durable_names_[name] = node;
  }
  void make_folders(const std::string& path) {
    for (std::string at = path; !at.empty() && at != "/"; at = parent(at)) directories_.insert(at);
  }
  /// Each file's moves since the last sync of its folders are seen all or not at all, by one draw a file.
  std::map<std::string, std::shared_ptr<Node>> some_names(SeededRandom& random) {
    std::map<const Node*, bool> seen;
    const auto draw = [&](const std::shared_ptr<Node>& node) {
      const auto found = seen.find(node.get());
      return found != seen.end() ? found->second : (seen[node.get()] = random.u64() % 2 != 0);
    };
    std::map<std::string, std::shared_ptr<Node>> out = durable_names_;
    for (const auto& [path, node] : names_) {
      const auto durable = durable_names_.find(path);
      if (durable != durable_names_.end() && durable->second == node) continue;
      if (draw(node)) out[path] = node;
    }
    for (const auto& [path, node] : durable_names_)
      if (!names_.contains(path) && draw(node)) out.erase(path);
    return out;
  }
  uint64_t used() const {
    uint64_t total = 0;
    for (const auto& [path, node] : names_) total += node->bytes.size();
    return total;
  }
  /// Lets some sectors of the unsynced bytes reach the platter.
  static void tear(Node& node, bool sectors, SeededRandom& random) {
    constexpr size_t kSector = 512;
    if (node.bytes == node.durable) return;
    std::string out = node.durable;
    // The length that survives lies between the two; a missing sector in it reads as zeros.
    const size_t least = std::min(node.bytes.size(), node.durable.size());
    const size_t most = std::max(node.bytes.size(), node.durable.size());
    out.resize(least + (most > least ? random.u64() % (most - least + 1) : 0));
    for (size_t at = 0; at < out.size(); at += kSector) {
      if (at >= node.bytes.size() || (sectors && random.u64() % 2 == 0)) continue;
      const size_t count = std::min({kSector, out.size() - at, node.bytes.size() - at});
      out.replace(at, count, node.bytes, at, count);
    }
    node.durable = std::move(out);
  }

  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Node>> names_, durable_names_;
  std::set<std::string> directories_;
  Fault fault_;
  uint64_t capacity_ = UINT64_MAX / 2;
  int64_t countdown_ = -1;
  uint64_t generation_ = 0;
  int64_t ticks_ = 1'000'000'000;
  std::atomic<int64_t> counts_[9]{};
  uint64_t next_file_ = 0;
  std::vector<DiskStep>* recording_ = nullptr;
  std::map<uint64_t, std::shared_ptr<Node>> played_;  ///< files that play() can be asked to write to
  bool ignore_folder_syncs_ = false;
  std::function<bool(const std::string&)> ignore_file_syncs_;
};

}  // namespace tarn::base::testing
