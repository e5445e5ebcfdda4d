#pragma once
// A store that passes every call on: the base of those that change one or two of them.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "block/store.h"

namespace tarn::block {

/// Threads, errors and costs are those of the store behind, which outlives it.
class Forwarding : public Store {
 public:
  explicit Forwarding(Store& inner) : inner_(inner) {}
  using Store::put;
  Result<Stored> put(const Context& ctx, const Name& name, ByteSource& source) override {
    return inner_.put(ctx, name, source);
  }
  Result<std::unique_ptr<ByteReader>> open(const Context& ctx, const Name& name, uint64_t offset,
                                           std::optional<uint64_t> length) override {
    return inner_.open(ctx, name, offset, length);
  }
  Result<std::string> read(const Context& ctx, const Name& name, uint64_t offset,
                           std::optional<uint64_t> length) override {
    return inner_.read(ctx, name, offset, length);
  }
  Result<Info> stat(const Context& ctx, const Name& name) override { return inner_.stat(ctx, name); }
  Result<void> list(const Context& ctx, std::string_view prefix,
                    const std::function<Result<void>(const Name&, const Info&)>& each) override {
    return inner_.list(ctx, prefix, each);
  }
  Result<void> remove(const Context& ctx, const Name& name) override { return inner_.remove(ctx, name); }
  Result<uint64_t> stored_bytes(const Context& ctx) override { return inner_.stored_bytes(ctx); }
  Result<uint64_t> disk_bytes(const Context& ctx) override { return inner_.disk_bytes(ctx); }
  Result<uint64_t> compact(const Context& ctx) override { return inner_.compact(ctx); }

 protected:
  Store& inner_;
};

}  // namespace tarn::block
