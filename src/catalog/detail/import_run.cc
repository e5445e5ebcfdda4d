#include "catalog/detail/import_run.h"

#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "base/hash.h"

namespace tarn::catalog::detail {
namespace {

constexpr std::string_view kMagic = "TARNRUN1";
constexpr size_t kBlockSize = 64u << 10, kWriteSize = 1u << 20;
constexpr size_t kHead = 4 + 16, kEnd = 8 + 16;  ///< before a block; at the end of a run
constexpr size_t kBlockMax = 1u << 20;

Error damaged(std::string_view what) {
  return Error(Code::kCorrupt, "import run", "the stored listing is damaged: " + std::string(what));
}

std::string end_of(uint64_t count) {
  base::ByteWriter out;
  out.raw(kMagic);
  out.u64(count);
  out.raw(base::xxh3_128(out.str()));
  return out.take().substr(kMagic.size());
}

}  // namespace

Result<void> RunWriter::add(const Listed& listed) {
  size_t shared = 0;
  if (in_block_ > 0)
    shared = static_cast<size_t>(
        std::mismatch(last_.begin(), last_.end(), listed.path.begin(), listed.path.end()).first - last_.begin());
  base::ByteWriter record;
  record.varint(shared);
  record.text(std::string_view(listed.path).substr(shared));
  record.varint(listed.size);
  record.varint_signed(listed.mtime_ns);
  block_.append(record.str());
  last_ = listed.path;
  ++in_block_;
  ++count_;
  return block_.size() < kBlockSize ? base::ok() : close_block();
}

Result<void> RunWriter::close_block() {
  if (in_block_ == 0) return {};
  if (bytes_.empty() && !out_) bytes_ = kMagic;
  base::ByteWriter head;
  head.u32(static_cast<uint32_t>(block_.size()));
  head.raw(base::xxh3_128(block_));
  bytes_.append(head.str()).append(block_);
  block_.clear();
  in_block_ = 0;
  if (file_.empty() || bytes_.size() < (out_ ? kWriteSize : in_memory_max_)) return {};
  return spill();
}

Result<void> RunWriter::spill() {
  if (!out_) {
    TRY(disk_.make_directories(std::filesystem::path(file_).parent_path().string()));
    TRY(disk_.remove(file_ + ".part"));  // of a listing that a crash cut off
    TRY_LET(out_, disk_.open(file_ + ".part", base::OpenMode::kCreate));
  }
  TRY(out_->append(bytes_));
  bytes_.clear();
  return {};
}

Result<Run> RunWriter::finish() {
  TRY(close_block());
  if (bytes_.empty() && !out_) bytes_ = kMagic;
  bytes_.append(end_of(count_));
  Run run;
  run.count = count_;
  if (!out_) {
    run.bytes = std::make_shared<const std::string>(std::move(bytes_));
    return run;
  }
  TRY(spill());
  TRY(out_->sync());
  out_.reset();
  TRY(disk_.rename(file_ + ".part", file_));
  TRY(disk_.sync_directory(std::filesystem::path(file_).parent_path().string()));
  run.file = file_;
  return run;
}

Result<std::string> RunReader::read(uint64_t offset, size_t length) {
  if (!bytes_) return file_->read(offset, length);
  return bytes_->substr(static_cast<size_t>(offset), length);
}

Result<std::unique_ptr<RunReader>> RunReader::open(base::Disk& disk, const Run& run) {
  std::unique_ptr<RunReader> reader(new RunReader());
  reader->bytes_ = run.bytes;
  uint64_t size = 0;
  if (run.bytes) {
    size = run.bytes->size();
  } else {
    TRY_LET(reader->file_, disk.open(run.file, base::OpenMode::kRead));
    TRY_LET(size, reader->file_->size());
  }
  if (size < kMagic.size() + kEnd) return damaged("it is cut short");
  TRY_LET(const std::string magic, reader->read(0, kMagic.size()));
  TRY_LET(const std::string end, reader->read(size - kEnd, kEnd));
  base::ByteReader in(end);
  TRY_LET(reader->left_, in.u64());
  if (magic != kMagic || end != end_of(reader->left_)) return damaged("its ends do not fit");
  reader->at_ = kMagic.size();
  reader->end_ = size - kEnd;
  return reader;
}

Result<Run> RunReader::find(base::Disk& disk, const std::string& file) {
  Run run;
  run.file = file;
  TRY_LET(const auto reader, open(disk, run));
  run.count = reader->left_;
  return run;
}

Result<void> RunReader::open_block() {
  if (end_ - at_ < kHead) return damaged("it ends before its count");
  TRY_LET(const std::string head, read(at_, kHead));
  base::ByteReader in(head);
  TRY_LET(const uint32_t size, in.u32());
  if (size > kBlockMax || end_ - at_ - kHead < size) return damaged("a block is cut short");
  TRY_LET(block_, read(at_ + kHead, size));
  if (base::xxh3_128(block_) != std::string_view(head).substr(4)) return damaged("a checksum does not fit");
  at_ += kHead + size;
  position_ = 0;
  path_.clear();
  return {};
}

Result<bool> RunReader::next(Listed& into) {
  if (left_ == 0) return at_ == end_ && position_ == block_.size() ? Result<bool>(false) : damaged("it has a rest");
  if (position_ == block_.size()) TRY(open_block());
  base::ByteReader in(std::string_view(block_).substr(position_), "import run");
  TRY_LET(const uint64_t shared, in.varint());
  TRY_LET(const std::string_view rest, in.text());
  TRY_LET(into.size, in.varint());
  TRY_LET(into.mtime_ns, in.varint_signed());
  if (shared > path_.size()) return damaged("a path is out of range");
  path_.resize(static_cast<size_t>(shared));
  path_.append(rest);
  into.path = path_;
  position_ = block_.size() - in.remaining();
  --left_;
  return true;
}

}  // namespace tarn::catalog::detail
