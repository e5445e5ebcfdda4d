#include "catalog/object_check.h"

#include <fmt/core.h>

#include <vector>

#include "base/hash.h"
#include "catalog/detail/address.h"

namespace tarn::catalog {
namespace {

constexpr size_t kChunkBytes = 256 << 10;
constexpr uint64_t kIndexedBytes = 64 << 10;

bool is_gone(const Error& error) {
  return error.code() == Code::kNotFound || error.code() == Code::kGone || error.code() == Code::kConflict;
}

Error missing(const Error& why, const std::string& where) {
  return why.wrap(Code::kGone, "object", "its bytes are missing: there is no " + where);
}

Error gone(const Error& why, const std::string& uri) {
  return why.wrap(Code::kGone, "object",
                  "what it links to is gone or has changed since it was linked: " + uri + " (" + why.message() + ")");
}

std::string text_of(const versioning::Repository& repository, const tree::Address& address) {
  if (address.kind == tree::AddressKind::kForeign) return address.uri;
  const auto name = detail::own_name(repository, address.partition, address.sequence);
  return name ? name->str() : std::string();
}

}  // namespace

Result<uint64_t> ObjectCheck::size_of(const Context& ctx, const versioning::Repository& repository,
                                      const tree::Address& address) {
  const std::string where = text_of(repository, address);
  if (address.kind == tree::AddressKind::kForeign && where.starts_with(detail::kFile)) {
    const auto pinned = detail::parse_pin(address.pin);
    if (!pinned) return Error(Code::kCorrupt, "object", fmt::format("the link to {} has no readable pin", where));
    const auto now = files_.identify(ctx, where.substr(detail::kFile.size() - 1));
    if (!now) return is_gone(now.error()) ? gone(now.error(), where) : now.error();
    if (now->size != pinned->size || now->mtime_ns != pinned->mtime_ns)
      return gone(Error(Code::kConflict, "file", "another size or time"), where);
    return now->size;
  }
  TRY_LET(const block::Name name,
          block::make_name(address.kind == tree::AddressKind::kForeign ? detail::block_name_of(where) : where));
  const auto info = blocks_.stat(ctx, name);
  if (info && info->size <= kIndexedBytes) return info->size;
  if (info) {  // a file of its own: an index may know it when it is gone
    TRY(blocks_.open(ctx, name, 0, 1));
    return info->size;
  }
  if (!is_gone(info.error())) return info.error();
  return address.kind == tree::AddressKind::kForeign ? gone(info.error(), where) : missing(info.error(), where);
}

Result<std::unique_ptr<block::ByteReader>> ObjectCheck::open(const Context& ctx,
                                                             const versioning::Repository& repository,
                                                             const tree::Address& address, uint64_t size) {
  const std::string where = text_of(repository, address);
  if (address.kind == tree::AddressKind::kForeign && where.starts_with(detail::kFile)) {
    const auto pinned = detail::parse_pin(address.pin);
    if (!pinned) return Error(Code::kCorrupt, "object", fmt::format("the link to {} has no readable pin", where));
    return files_.open(ctx, where.substr(detail::kFile.size() - 1), 0, size, *pinned);
  }
  TRY_LET(const block::Name name,
          block::make_name(address.kind == tree::AddressKind::kForeign ? detail::block_name_of(where) : where));
  return blocks_.open(ctx, name, 0, std::nullopt);
}

Result<void> ObjectCheck::check(const Context& ctx, const versioning::Repository& repository,
                                const tree::Entry& entry) {
  const auto expect = [&](uint64_t found, uint64_t said) -> Result<void> {
    if (found == said) return {};
    return Error(
        Code::kCorrupt, "object",
        fmt::format("{} bytes are stored at {}, its entry says {}", found, text_of(repository, entry.address), said));
  };
  if (entry.address.kind == tree::AddressKind::kManifest) {
    if (entry.address.parts.size() != entry.address.part_sizes.size())
      return Error(Code::kCorrupt, "object", "its list of parts has another length than that of their sizes");
    uint64_t sum = 0;
    for (size_t i = 0; i < entry.address.parts.size(); ++i) {
      TRY_LET(const uint64_t size, size_of(ctx, repository, entry.address.parts[i]));
      if (size != entry.address.part_sizes[i])
        return Error(Code::kCorrupt, "object",
                     fmt::format("{} bytes are stored at {}, its entry says {}", size,
                                 text_of(repository, entry.address.parts[i]), entry.address.part_sizes[i]));
      sum += size;
    }
    TRY(expect(sum, entry.size));
  } else {
    TRY_LET(const uint64_t size, size_of(ctx, repository, entry.address));
    TRY(expect(size, entry.size));
  }
  if (entry.address.kind != tree::AddressKind::kForeign &&
      counted_.insert(base::xxh3_128(fmt::format("{} {}", entry.etag.text(), entry.size))).second) {
    ++distinct_.objects;
    distinct_.bytes += entry.size;
  }
  return depth_ == Depth::kContent ? check_content(ctx, repository, entry) : Result<void>();
}

Result<void> ObjectCheck::check_content(const Context& ctx, const versioning::Repository& repository,
                                        const tree::Entry& entry) {
  std::vector<tree::Address> parts = entry.address.parts;
  std::vector<uint64_t> sizes = entry.address.part_sizes;
  if (entry.address.kind != tree::AddressKind::kManifest) {
    parts = {entry.address};
    sizes = {entry.size};
  }
  std::string key = entry.etag.text();
  for (const tree::Address& part : parts) key += "\n" + text_of(repository, part);
  if (!read_.insert(base::xxh3_128(key)).second) return {};

  base::Hasher whole(base::Algorithm::kMd5);
  std::string digests;
  std::string buffer(kChunkBytes, '\0');
  for (size_t i = 0; i < parts.size(); ++i) {
    TRY_LET(const auto reader, open(ctx, repository, parts[i], sizes[i]));
    base::Hasher md5(base::Algorithm::kMd5);
    uint64_t size = 0;
    while (true) {
      TRY_LET(const size_t got, reader->read(buffer.data(), buffer.size()));
      if (got == 0) break;
      const std::string_view bytes(buffer.data(), got);
      md5.update(bytes);
      if (parts.size() > 1) whole.update(bytes);
      size += got;
    }
    bytes_read_ += size;
    if (size != sizes[i])
      return Error(Code::kCorrupt, "object",
                   fmt::format("{} bytes could be read at {}, its entry says {}", size, text_of(repository, parts[i]),
                               sizes[i]));
    digests += md5.finish();
  }
  std::string found;
  if (entry.etag.kind == tree::EtagKind::kMd5)
    found = parts.size() > 1 ? whole.finish() : digests;
  else if (entry.etag.kind == tree::EtagKind::kMd5Parts && entry.etag.parts == parts.size())
    found = base::md5(digests);
  else
    return {};  // an ETag that says nothing about the bytes, or about parts that we do not know
  if (found == entry.etag.bytes) return {};
  return Error(Code::kCorrupt, "object",
               fmt::format("its bytes at {} have another MD5 than its ETag {} says", text_of(repository, parts.front()),
                           entry.etag.text()));
}

}  // namespace tarn::catalog
