#include "block/foreign.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "block/detail.h"

namespace tarn::block {
namespace {

constexpr size_t kDepthMost = 64;
constexpr size_t kChunkBytes = 256 << 10;
constexpr size_t kLooksBetweenChecks = 256;

bool is_below(std::string_view path, std::string_view root) {
  if (root == "/") return path.starts_with('/');
  return path == root || (path.starts_with(root) && path.substr(root.size()).starts_with('/'));
}

Error changed(const std::string& path) {
  return Error(Code::kConflict, "file",
               fmt::format("{} has changed since it was imported: import it again, or put the old file back", path));
}

class ForeignReader final : public ByteReader {
 public:
  ForeignReader(std::unique_ptr<base::File> file, std::string path, uint64_t offset, uint64_t length,
                const FileIdentity& expected)
      : file_(std::move(file)), path_(std::move(path)), offset_(offset), left_(length), expected_(expected) {}

  Result<size_t> read(char* buffer, size_t size) override {
    const size_t count = std::min<uint64_t>({size, left_, kChunkBytes});
    if (count == 0) return count;
    auto bytes = file_->read(offset_, count);
    if (!bytes) return bytes.error().code() == Code::kCorrupt ? changed(path_) : bytes.error();
    // The caller gets no byte of a file that was written to while it was read.
    TRY_LET(const auto info, file_->info());
    if (info.size != expected_.size || info.mtime_ns != expected_.mtime_ns) return changed(path_);
    std::memcpy(buffer, bytes->data(), count);
    offset_ += count;
    left_ -= count;
    return count;
  }
  std::optional<Span> span() const override {
    if (file_->descriptor() < 0) return std::nullopt;
    return Span{file_->descriptor(), offset_, left_};
  }

 private:
  std::unique_ptr<base::File> file_;
  const std::string path_;
  uint64_t offset_, left_;
  const FileIdentity expected_;
};

}  // namespace

struct ForeignFiles::Walk {
  const Context& ctx;
  const std::function<Result<void>(const ListedFile&)>& each;
  std::vector<std::string> above;  ///< real folders on the way here, against loops of links
};

Result<std::string> ForeignFiles::inside(const std::string& path) const {
  if (!path.starts_with('/') || path.find('\0') != std::string::npos)
    return Error(Code::kInvalid, "path", fmt::format("\"{}\" is not an absolute path", path));
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (std::string_view(path).substr(at, end - at) == "..")
      return Error(Code::kInvalid, "path", fmt::format("\"{}\" holds a segment \"..\"", path));
    at = end + 1;
  }
  const Error refused(Code::kForbidden, "path",
                      fmt::format("{} is not below a folder that imports may read ({}): move the data there, or add "
                                  "its folder to import.local_roots",
                                  path, roots_.empty() ? "none" : fmt::format("{}", fmt::join(roots_, ", "))));
  std::vector<std::string> roots;
  for (const auto& root : roots_) {
    // A root that does not exist allows nothing.
    auto real = disk_.real_path(root);
    if (real) roots.push_back(std::move(*real));
  }
  if (roots.empty()) return refused;
  auto real = disk_.real_path(path);
  if (!real) {
    // Do not tell what exists outside the roots.
    const bool asked_inside =
        std::any_of(roots_.begin(), roots_.end(), [&](const auto& r) { return is_below(path, r); });
    return asked_inside ? real.error() : refused;
  }
  for (const auto& root : roots)
    if (is_below(*real, root)) return real;
  return refused;
}

Result<void> ForeignFiles::walk(Walk& state, const std::string& real, const std::string& relative) const {
  if (state.above.size() >= kDepthMost)
    return Error(Code::kInvalid, "path", fmt::format("{} is more than {} folders deep", relative, kDepthMost));
  if (std::find(state.above.begin(), state.above.end(), real) != state.above.end())
    return Error(Code::kInvalid, "path", fmt::format("{} is a link to a folder above itself", relative));
  TRY(state.ctx.check(clock_));
  const auto path_of = [&](std::string_view name) { return fmt::format("{}{}{}", real, real == "/" ? "" : "/", name); };
  TRY_LET(auto names, disk_.list(real));
  // A folder's name gets its '/' before sorting: that is the order of whole paths. Names only are kept, and files are
  // looked at again when their turn comes: a folder may hold millions.
  for (size_t i = 0; i < names.size(); ++i) {
    if (i % kLooksBetweenChecks == 0) TRY(state.ctx.check(clock_));
    if (!base::is_utf8(names[i]))
      return Error(Code::kInvalid, "path", fmt::format("a file name in {} is not UTF-8: rename it", real));
    const std::string path = path_of(names[i]);
    TRY_LET(auto info, disk_.look(path));
    if (info.is_link) {
      TRY_LET(const std::string target, inside(path));
      TRY_LET(info, disk_.stat(target));
    }
    if (info.is_directory) names[i].push_back('/');
  }
  std::sort(names.begin(), names.end());
  state.above.push_back(real);
  for (size_t i = 0; i < names.size(); ++i) {
    if (i % kLooksBetweenChecks == 0) TRY(state.ctx.check(clock_));
    const bool folder = names[i].ends_with('/');
    std::string path = path_of(std::string_view(names[i]).substr(0, names[i].size() - (folder ? 1 : 0)));
    TRY_LET(auto info, disk_.look(path));
    if (info.is_link) {  // what is no link in a folder that is inside is inside, too
      TRY_LET(path, inside(path));
      TRY_LET(info, disk_.stat(path));
    }
    if (info.is_directory != folder)
      return Error(Code::kUnavailable, "path", fmt::format("{} changed while it was listed: list it again", path));
    if (folder)
      TRY(walk(state, path, relative + names[i]));
    else
      TRY(state.each(ListedFile{relative + names[i], info.size, info.mtime_ns}));
  }
  state.above.pop_back();
  return {};
}

Result<void> ForeignFiles::list(const Context& ctx, const std::string& folder,
                                const std::function<Result<void>(const ListedFile&)>& each) const {
  TRY_LET(const std::string real, inside(folder));
  TRY_LET(const auto info, disk_.stat(real));
  if (!info.is_directory) return Error(Code::kInvalid, "path", fmt::format("{} is not a folder", folder));
  Walk state{ctx, each, {}};
  return walk(state, real, "");
}

Result<void> ForeignFiles::allow(const std::string& path) const {
  TRY(inside(path));
  return {};
}

Result<FileIdentity> ForeignFiles::identify(const Context& ctx, const std::string& path) const {
  TRY(ctx.check(clock_));
  auto real = inside(path);
  if (!real) return real.error();
  TRY_LET(const auto info, disk_.stat(*real));
  if (info.is_directory) return Error(Code::kInvalid, "path", fmt::format("{} is a folder", path));
  return FileIdentity{info.size, info.mtime_ns};
}

Result<std::unique_ptr<ByteReader>> ForeignFiles::open(const Context& ctx, const std::string& path, uint64_t offset,
                                                       std::optional<uint64_t> length,
                                                       const FileIdentity& expected) const {
  TRY(ctx.check(clock_));
  const auto gone = [&](const Error& why) {
    if (why.code() != Code::kNotFound) return why;
    return why.wrap(Code::kGone, "file", fmt::format("{} is gone since it was imported: put it back", path));
  };
  auto real = inside(path);
  if (!real) return gone(real.error());
  auto file = disk_.open(*real, base::OpenMode::kRead);
  if (!file) return gone(file.error());
  // The size and time of what is open, not of what the name means by now.
  TRY_LET(const auto info, (*file)->info());
  if (info.is_directory || info.size != expected.size || info.mtime_ns != expected.mtime_ns) return changed(path);
  TRY_LET(const uint64_t count, detail::clamp(Name(path), expected.size, offset, length));
  return std::unique_ptr<ByteReader>(new ForeignReader(std::move(*file), path, offset, count, expected));
}

std::string weak_etag(const FileIdentity& file) {
  base::ByteWriter bytes;
  bytes.u64(file.size);
  bytes.u64(static_cast<uint64_t>(file.mtime_ns));
  return "tarn-" + base::to_hex(base::xxh3_128(bytes.str()));
}

}  // namespace tarn::block
