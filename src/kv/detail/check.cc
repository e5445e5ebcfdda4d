#include "kv/detail/check.h"

#include <fmt/core.h>

namespace tarn::kv::detail {

bool is_precondition(Batch::Kind kind) {
  return kind == Batch::Kind::kRequireAbsent || kind == Batch::Kind::kRequireVersion ||
         kind == Batch::Kind::kRequirePresent;
}

std::string printable(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c >= 0x20 && c < 0x7f && c != '\\')
      out.push_back(c);
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<void> check(const Batch::Step& step, std::optional<Sequence> found) {
  switch (step.kind) {
    case Batch::Kind::kRequireAbsent:
      if (!found) return {};
      return Error(Code::kConflict, "key", fmt::format("{} exists already (version {})", printable(step.key), *found));
    case Batch::Kind::kRequirePresent:
      if (found) return {};
      return Error(Code::kConflict, "key", fmt::format("{} does not exist", printable(step.key)));
    case Batch::Kind::kRequireVersion:
      if (found == step.version) return {};
      return Error(Code::kConflict, "key",
                   found ? fmt::format("{} has version {}, expected {}", printable(step.key), *found, step.version)
                         : fmt::format("{} does not exist, expected version {}", printable(step.key), step.version));
    case Batch::Kind::kPut:
    case Batch::Kind::kErase:
    case Batch::Kind::kEraseRange:
    case Batch::Kind::kEraseIfVersion:
      return {};
  }
  return {};
}

}  // namespace tarn::kv::detail
