// Where an object's bytes are, and how they come in and out.
#include <fmt/core.h>

#include "base/log.h"
#include "catalog/detail/address.h"
#include "catalog/detail/catalog_impl.h"

namespace tarn::catalog {
namespace {

using detail::block_name_of;
using detail::kFile;
using detail::parse_pin;

/// Hashes what passes through.
class HashingSource final : public block::ByteSource {
 public:
  explicit HashingSource(block::ByteSource& inner) : inner_(inner), hasher_(base::Algorithm::kSha256) {}
  Result<size_t> read(char* buffer, size_t size) override {
    TRY_LET(const size_t got, inner_.read(buffer, size));
    hasher_.update({buffer, got});
    return got;
  }
  std::string sha256() const { return hasher_.finish(); }

 private:
  block::ByteSource& inner_;
  base::Hasher hasher_;
};

/// The parts of a manifest one after the other; each is opened when its turn comes.
class ManifestReader final : public block::ByteReader {
 public:
  using Open = std::function<Result<std::unique_ptr<block::ByteReader>>(size_t part, uint64_t offset, uint64_t length)>;
  ManifestReader(std::vector<uint64_t> sizes, uint64_t offset, uint64_t length, Open open)
      : sizes_(std::move(sizes)), skip_(offset), left_(length), open_(std::move(open)) {}
  Result<size_t> read(char* buffer, size_t size) override {
    while (left_ > 0) {
      if (!current_) {
        while (next_ < sizes_.size() && skip_ >= sizes_[next_]) skip_ -= sizes_[next_++];
        if (next_ == sizes_.size())
          return Error(Code::kCorrupt, "object", "the parts hold fewer bytes than the object");
        const uint64_t here = std::min(sizes_[next_] - skip_, left_);
        TRY_LET(current_, open_(next_, skip_, here));
        skip_ = 0;
        ++next_;
      }
      TRY_LET(const size_t got, current_->read(buffer, static_cast<size_t>(std::min<uint64_t>(size, left_))));
      if (got == 0) {
        current_.reset();
        continue;
      }
      left_ -= got;
      return got;
    }
    return size_t{0};
  }

 private:
  std::vector<uint64_t> sizes_;
  uint64_t skip_, left_;
  Open open_;
  size_t next_ = 0;
  std::unique_ptr<block::ByteReader> current_;
};

Error gone(const std::string& uri, const Error& why) {
  return why.wrap(Code::kGone, "object",
                  fmt::format("the bytes at {} are not those that were linked: the file changed or is missing", uri));
}

}  // namespace

Result<block::Name> CatalogImpl::own_name(const versioning::Repository& repository, uint64_t partition,
                                          uint64_t sequence) const {
  return detail::own_name(repository, partition, sequence);
}

std::string CatalogImpl::address_text(const versioning::Repository& repository, const tree::Address& address) const {
  switch (address.kind) {
    case tree::AddressKind::kForeign:
      return address.uri;
    case tree::AddressKind::kManifest:
      return address.parts.empty() ? std::string() : address_text(repository, address.parts.front());
    case tree::AddressKind::kOwn:
      break;
  }
  std::string space = repository.storage_namespace;
  while (!space.empty() && space.back() == '/') space.pop_back();
  return fmt::format("{}/data/{:016x}/{:016x}", space, address.partition, address.sequence);
}

std::string CatalogImpl::physical_address(const versioning::Repository& repository, const tree::Entry& entry) {
  return address_text(repository, entry.address);
}

tree::Address CatalogImpl::linked(const versioning::Repository& from, const tree::Address& address,
                                  const std::string& pin) const {
  tree::Address out = address;
  if (address.kind == tree::AddressKind::kOwn) {
    out = tree::Address();
    out.kind = tree::AddressKind::kForeign;
    out.uri = address_text(from, address);
    out.pin = pin;
  }
  for (tree::Address& part : out.parts) part = linked(from, part, pin);
  return out;
}

tree::Entry CatalogImpl::link(const versioning::Repository& from, const versioning::Repository& to,
                              const tree::Entry& entry) {
  tree::Entry out = entry;
  if (from.id != to.id) out.address = linked(from, entry.address, entry.etag.text());
  return out;
}

Result<tree::Entry> CatalogImpl::store(const Context& ctx, const versioning::Repository& repository,
                                       block::ByteSource& source, const PutOptions& options) {
  tree::Entry entry;
  entry.address.partition = partition_;
  entry.address.sequence = ++sequence_;
  TRY_LET(const block::Name name, own_name(repository, entry.address.partition, entry.address.sequence));
  HashingSource hashing(source);
  TRY_LET(const block::Stored stored,
          blocks_.put(ctx, name, options.sha256 ? static_cast<block::ByteSource&>(hashing) : source));
  entry.size = stored.size;
  entry.etag = tree::Etag::md5(stored.md5);
  entry.mtime_ms = clock_.wall_ms();
  entry.content_type = options.content_type.empty() ? "application/octet-stream" : options.content_type;
  entry.metadata = options.metadata;
  entry.tagged = options.tagged;
  const auto refuse = [&](Error error) -> Result<tree::Entry> {
    discard(ctx, repository, entry);
    return error;
  };
  if (options.md5 && *options.md5 != stored.md5)
    return refuse(Error(Code::kInvalid, "content-md5", "the content does not have the MD5 that was given"));
  if (options.sha256 && *options.sha256 != hashing.sha256())
    return refuse(Error(Code::kInvalid, "sha256", "the content does not have the SHA-256 that was given"));
  if (options.verify)
    if (auto verified = options.verify(); !verified) return refuse(std::move(verified).error());
  return entry;
}

void CatalogImpl::discard(const Context& ctx, const versioning::Repository& repository, const tree::Entry& entry) {
  if (entry.address.kind != tree::AddressKind::kOwn) return;
  const auto name = own_name(repository, entry.address.partition, entry.address.sequence);
  if (!name) return;
  const auto removed = blocks_.remove(ctx, *name);
  if (!removed)
    base::log(ctx, base::Level::kWarning, "bytes without an entry stay until the next collection",
              {{"name", name->str()}, {"error", removed.error().text()}});
}

Result<tree::Entry> CatalogImpl::write_bytes(const Context& ctx, const versioning::Repository& repository,
                                             std::string_view bytes, std::string content_type) {
  block::StringSource source(bytes);
  PutOptions options;
  options.content_type = std::move(content_type);
  return store(ctx, repository, source, options);
}

Result<std::unique_ptr<block::ByteReader>> CatalogImpl::open_address(const Context& ctx,
                                                                     const versioning::Repository& repository,
                                                                     const tree::Address& address, uint64_t offset,
                                                                     uint64_t length) {
  switch (address.kind) {
    case tree::AddressKind::kOwn: {
      TRY_LET(const block::Name name, own_name(repository, address.partition, address.sequence));
      auto reader = blocks_.open(ctx, name, offset, length);
      if (!reader && reader.error().code() == Code::kNotFound)
        return reader.error().wrap(Code::kGone, "object", "the object's bytes are missing from the store");
      return reader;
    }
    case tree::AddressKind::kForeign: {
      if (address.uri.compare(0, kFile.size(), kFile) == 0) {
        const auto identity = parse_pin(address.pin);
        if (!identity)
          return Error(Code::kCorrupt, "object", fmt::format("the link to {} has no readable pin", address.uri));
        auto reader = foreign_.open(ctx, address.uri.substr(kFile.size() - 1), offset, length, *identity);
        if (!reader && (reader.error().code() == Code::kGone || reader.error().code() == Code::kConflict ||
                        reader.error().code() == Code::kNotFound))
          return gone(address.uri, reader.error());
        return reader;
      }
      TRY_LET(const block::Name name, block::make_name(block_name_of(address.uri)));
      auto reader = blocks_.open(ctx, name, offset, length);
      if (!reader && reader.error().code() == Code::kNotFound) return gone(address.uri, reader.error());
      return reader;
    }
    case tree::AddressKind::kManifest: {
      auto parts = std::make_shared<std::vector<tree::Address>>(address.parts);
      return std::unique_ptr<block::ByteReader>(new ManifestReader(
          address.part_sizes, offset, length, [this, ctx, repository, parts](size_t part, uint64_t at, uint64_t size) {
            return open_address(ctx, repository, (*parts)[part], at, size);
          }));
    }
  }
  return Error(Code::kCorrupt, "object", "the object's address is of an unknown kind");
}

Result<std::unique_ptr<block::ByteReader>> CatalogImpl::open_entry(const Context& ctx,
                                                                   const versioning::Repository& repository,
                                                                   const tree::Entry& entry, const ByteRange& range) {
  if (range.offset > entry.size || (range.offset == entry.size && entry.size > 0))
    return Error(Code::kInvalid, "range",
                 fmt::format("offset {} lies behind the object's {} bytes", range.offset, entry.size));
  const uint64_t length = std::min(range.length.value_or(entry.size), entry.size - range.offset);
  return open_address(ctx, repository, entry.address, range.offset, length);
}

Result<std::string> CatalogImpl::read_entry(const Context& ctx, const versioning::Repository& repository,
                                            const tree::Entry& entry) {
  TRY_LET(const auto reader, open_entry(ctx, repository, entry, {}));
  std::string bytes(static_cast<size_t>(entry.size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    TRY_LET(const size_t got, reader->read(bytes.data() + done, bytes.size() - done));
    if (got == 0) return Error(Code::kCorrupt, "object", "the object's bytes end early");
    done += got;
  }
  return bytes;
}

Result<Catalog::StoredBytes> CatalogImpl::stored_bytes(const Context& ctx) {
  StoredBytes total;
  TRY(blocks_.list(ctx, "", [&](const block::Name& name, const block::Info& info) -> Result<void> {
    (name.str().find("/data/") != std::string::npos ? total.objects : total.metadata) += info.size;
    return {};
  }));
  return total;
}

}  // namespace tarn::catalog
