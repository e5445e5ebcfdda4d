#include "tree/detail/frame.h"

#include <memory>

#include <lz4.h>
#include <zstd.h>

#include "base/hash.h"
#include "tree/detail/header.h"
#include "tree/detail/parser.h"

namespace tarn::tree::detail {
namespace {

constexpr uint8_t kFrameVersion = 1;
constexpr size_t kFrameHead = 16, kFrameCheck = 16;

ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  return context.get();
}
ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  return context.get();
}

/// Compresses `plain` to the end of `out`; false when that does not make it smaller.
bool compress(std::string& out, std::string_view plain, Codec codec, int level) {
  const size_t start = out.size();
  size_t size = 0;
  if (codec == Codec::kZstd) {
    out.resize(start + ZSTD_compressBound(plain.size()));
    size = ZSTD_compressCCtx(compressor(), out.data() + start, out.size() - start, plain.data(), plain.size(), level);
    if (ZSTD_isError(size) != 0) size = plain.size();
  } else if (codec == Codec::kLz4) {
    out.resize(start + static_cast<size_t>(LZ4_compressBound(static_cast<int>(plain.size()))));
    const int written = LZ4_compress_default(plain.data(), out.data() + start, static_cast<int>(plain.size()),
                                             static_cast<int>(out.size() - start));
    size = written > 0 ? static_cast<size_t>(written) : plain.size();
  } else {
    return false;
  }
  const bool smaller = size < plain.size();
  out.resize(start + (smaller ? size : 0));
  return smaller;
}

}  // namespace

Result<Codec> append_frame(std::string& out, std::string_view body, std::string_view hints, Codec codec,
                           int zstd_level) {
  if (body.size() + hints.size() > kBodySizeMax)
    return Error(Code::kTooLarge, "node",
                 "one node of the tree would exceed 256 MiB: shorten keys, addresses or metadata");
  const size_t start = out.size();
  out.resize(start + kFrameHead);
  std::string joined;
  std::string_view plain = body;
  if (!hints.empty()) {
    joined.reserve(body.size() + hints.size());
    joined.append(body).append(hints);
    plain = joined;
  }
  if (!compress(out, plain, codec, zstd_level)) {
    codec = Codec::kNone;
    out.append(plain);
  }
  std::string head;
  head.push_back(static_cast<char>(kFrameVersion));
  head.push_back(static_cast<char>(codec));
  put_le<uint16_t>(head, 0);
  put_le<uint32_t>(head, static_cast<uint32_t>(body.size()));
  put_le<uint32_t>(head, static_cast<uint32_t>(hints.size()));
  put_le<uint32_t>(head, static_cast<uint32_t>(out.size() - start - kFrameHead));
  out.replace(start, kFrameHead, head);
  out.append(base::xxh3_128(std::string_view(out).substr(start)));
  return codec;
}

Result<Frame> open_frame(std::string_view stored) {
  if (stored.size() < kFrameOverhead) return corrupt("frame", "it is cut short");
  const auto version = static_cast<uint8_t>(stored[0]);
  const std::string_view checked = stored.substr(0, stored.size() - kFrameCheck);
  if (base::xxh3_128(checked) != stored.substr(checked.size())) return corrupt("frame", "its checksum does not fit");
  if (version != kFrameVersion) return unsupported("frame", "frame version", version);
  const auto codec = static_cast<uint8_t>(stored[1]);
  const size_t body = load_le<uint32_t>(stored.data() + 4), hints = load_le<uint32_t>(stored.data() + 8);
  const std::string_view packed = checked.substr(kFrameHead);
  if (load_le<uint16_t>(stored.data() + 2) != 0 || load_le<uint32_t>(stored.data() + 12) != packed.size())
    return corrupt("frame", "its lengths do not fit");
  if (body + hints > kBodySizeMax) return corrupt("frame", "it is longer than a frame may be");
  Frame frame;
  switch (codec) {
    case static_cast<uint8_t>(Codec::kNone):
      if (packed.size() != body + hints) return corrupt("frame", "its lengths do not fit");
      frame.body = packed;
      break;
    case static_cast<uint8_t>(Codec::kZstd): {
      // The compressed bytes name their own size, so a forged length cannot make us allocate more than they give.
      const unsigned long long named = ZSTD_getFrameContentSize(packed.data(), packed.size());
      if (named != body + hints) return corrupt("frame", "its lengths do not fit");
      frame.body.resize(body + hints);
      const size_t size =
          ZSTD_decompressDCtx(decompressor(), frame.body.data(), frame.body.size(), packed.data(), packed.size());
      if (ZSTD_isError(size) != 0 || size != frame.body.size()) return corrupt("frame", "it does not decompress");
      break;
    }
    case static_cast<uint8_t>(Codec::kLz4): {
      if (body + hints > packed.size() * 256 + 64) return corrupt("frame", "its lengths do not fit");
      frame.body.resize(body + hints);
      const int size = LZ4_decompress_safe(packed.data(), frame.body.data(), static_cast<int>(packed.size()),
                                           static_cast<int>(frame.body.size()));
      if (size < 0 || static_cast<size_t>(size) != frame.body.size()) return corrupt("frame", "it does not decompress");
      break;
    }
    default:
      return unsupported("frame", "codec", codec);
  }
  if (hints > 0) frame.hints = frame.body.substr(body);
  frame.body.resize(body);
  if (frame.body.capacity() > frame.body.size() + 512) frame.body.shrink_to_fit();
  return frame;
}

}  // namespace tarn::tree::detail
