// What names look like, and commit ids as text.
#include <algorithm>

#include "base/bytes.h"
#include "block/store.h"
#include "versioning/gate.h"
#include "versioning/records.h"
#include "versioning/types.h"

namespace tarn::versioning {
namespace {

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

Error invalid(std::string subject, std::string_view given, std::string_view rule) {
  return Error(Code::kInvalid, subject,
               "'" + std::string(given.substr(0, 80)) + "' is no valid " + subject + ": " + std::string(rule));
}

}  // namespace

std::optional<CommitId> CommitId::from_hex(std::string_view text) {
  const auto digest = base::Digest::from_hex(text);
  if (!digest) return std::nullopt;
  return CommitId(*digest);
}

std::string_view name_of(LandingKind kind) {
  switch (kind) {
    case LandingKind::kCommit:
      return "commit";
    case LandingKind::kMerge:
      return "merge";
    case LandingKind::kRevert:
      return "revert";
    case LandingKind::kCherryPick:
      return "cherry-pick";
    case LandingKind::kImport:
      return "import";
    case LandingKind::kHardReset:
      return "hard-reset";
    case LandingKind::kDeleteBranch:
      return "delete-branch";
    case LandingKind::kRestoreRef:
      return "restore-ref";
    case LandingKind::kMesh:
      return "mesh";
  }
  return "unknown";
}

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::kReadHead:
      return "read_head";
    case Stage::kSnapshotStaging:
      return "snapshot_staging";
    case Stage::kBuildTree:
      return "build_tree";
    case Stage::kWritePack:
      return "write_pack";
    case Stage::kRunGate:
      return "run_gate";
    case Stage::kMoveHead:
      return "move_head";
    case Stage::kAfter:
      return "after";
  }
  return "unknown";
}

Result<void> check_repository_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.size() < 3 || name.size() > 63 || !plain(name[0]) ||
      !std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '-'; }))
    return invalid("repository", name, "3 to 63 of a-z, 0-9 and '-', not starting with '-'");
  return {};
}

Result<void> check_branch_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || !is_word(name[0]) ||
      !std::all_of(name.begin(), name.end(), [](char c) { return is_word(c) || c == '-'; }))
    return invalid("branch", name, "1 to 255 letters, digits, '_' and '-', not starting with '-'");
  return {};
}

Result<void> check_tag_name(std::string_view name) {
  constexpr std::string_view kRule =
      "1 to 255 bytes of UTF-8 without spaces, control characters, '/', '..', '@{' and any of ^ : ? * [ \\ and not "
      "'@', nor ending in '.' or '.lock'";
  if (name.empty() || name.size() > 255 || name == "@" || name.find("..") != std::string_view::npos ||
      name.find("@{") != std::string_view::npos || name.back() == '.' || name.ends_with(".lock") ||
      !base::is_utf8(name))
    return invalid("tag", name, kRule);
  for (const char c : name)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f ||
        std::string_view("^:?*[\\/").find(c) != std::string_view::npos)
      return invalid("tag", name, kRule);
  return {};
}

Result<void> check_path(std::string_view path) {
  const auto bad = [&](std::string_view why) {
    return Error(Code::kInvalid, "path", "the path is not valid: " + std::string(why));
  };
  if (path.empty()) return bad("it is empty");
  if (path.size() > 1024) return bad("it is longer than 1024 bytes");
  if (path.find('\0') != std::string_view::npos) return bad("it contains a NUL byte");
  if (!base::is_utf8(path)) return bad("it is not UTF-8");
  for (size_t from = 0; from <= path.size();) {
    const size_t slash = std::min(path.find('/', from), path.size());
    const std::string_view segment = path.substr(from, slash - from);
    if (segment == "." || segment == "..") return bad("it has a segment '.' or '..'");
    from = slash + 1;
  }
  return {};
}

Result<void> check_storage_namespace(std::string_view text) {
  constexpr std::string_view kRule =
      "'local://name' or another scheme (s3, gs, https, http, mem) and a path without '.' "
      "and '..'";
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos || text.size() > 512) return invalid("storage_namespace", text, kRule);
  const std::string_view scheme = text.substr(0, colon);
  constexpr std::string_view kSchemes[] = {"local", "s3", "gs", "https", "http", "mem", "transient"};
  if (std::find(std::begin(kSchemes), std::end(kSchemes), scheme) == std::end(kSchemes))
    return invalid("storage_namespace", text, kRule);
  std::string prefix = block_prefix(text);
  prefix.pop_back();
  if (!block::make_name(prefix) || block_prefix(text.substr(colon + 3)) == "/")
    return invalid("storage_namespace", text, kRule);
  return {};
}

}  // namespace tarn::versioning
