#pragma once
// Every key that version control keeps in the key-value store. docs/formats/kv-keys.md is the page for people.
#include <string>
#include <string_view>

#include "versioning/types.h"

namespace tarn::versioning::keys {

inline std::string join(std::string_view prefix, std::string_view a) {
  std::string key;
  key.reserve(prefix.size() + a.size());
  key.append(prefix).append(a);
  return key;
}
inline std::string join(std::string_view prefix, std::string_view a, std::string_view b) {
  std::string key;
  key.reserve(prefix.size() + a.size() + b.size() + 1);
  key.append(prefix).append(a).append("/").append(b);
  return key;
}

// By repository name, and by storage namespace.
inline constexpr std::string_view kRepositories = "v/r/";
inline constexpr std::string_view kNamespaces = "v/n/";
inline std::string repository(std::string_view name) { return join(kRepositories, name); }
/// @param block_prefix  with its trailing '/'.
inline std::string namespace_claim(std::string_view block_prefix) { return join(kNamespaces, block_prefix); }
/// Rewritten by every creation and deletion, so that two overlapping namespaces cannot be claimed at once.
inline std::string namespace_turn() { return "v/nt"; }

// By repository id: gone with the repository.
inline std::string alive(std::string_view id) { return join("v/i/", id); }
inline std::string protection(std::string_view id) { return join("v/p/", id); }
inline std::string branches(std::string_view id) { return join("v/b/", id, ""); }
inline std::string branch(std::string_view id, std::string_view name) { return join("v/b/", id, name); }
inline std::string tags(std::string_view id) { return join("v/t/", id, ""); }
inline std::string tag(std::string_view id, std::string_view name) { return join("v/t/", id, name); }
inline std::string commits(std::string_view id) { return join("v/c/", id, ""); }
inline std::string commit(std::string_view id, const CommitId& commit) { return join("v/c/", id, commit.hex()); }
/// Present as long as the branch lives: what a writer requires in the batch of its write.
inline std::string epochs(std::string_view id) { return join("v/e/", id, ""); }
inline std::string epoch(std::string_view id, std::string_view branch_id) { return join("v/e/", id, branch_id); }
/// Where the parts of a folded pack are.
inline std::string relocations(std::string_view id) { return join("v/f/", id, ""); }
inline std::string relocation(std::string_view id, std::string_view pack) { return join("v/f/", id, pack); }
/// Staging rows of a repository, of a branch, of a path.
inline std::string staging(std::string_view id) { return join("v/s/", id, ""); }
inline std::string staging(std::string_view id, std::string_view branch_id) {
  std::string key = join("v/s/", id, branch_id);
  key.push_back('/');
  return key;
}
inline std::string staged(std::string_view id, std::string_view branch_id, std::string_view path) {
  std::string key = staging(id, branch_id);
  key.append(path);
  return key;
}

// What the ref journal still has to write: one row a ref that moved, put by the batch that moved it, taken away when
// the journal has it. And where a repository's journal ends.
inline constexpr std::string_view kNoted = "v/j/";
inline std::string noted(std::string_view id) { return join(kNoted, id, ""); }
inline std::string noted_repository(std::string_view id) { return join(kNoted, id, "r"); }
inline std::string noted_protection(std::string_view id) { return join(kNoted, id, "p"); }
inline std::string noted_branch(std::string_view id, std::string_view name) { return join(noted(id), "b", name); }
inline std::string noted_tag(std::string_view id, std::string_view name) { return join(noted(id), "t", name); }
inline constexpr std::string_view kJournalEnds = "v/je/";
inline std::string journal_end(std::string_view id) { return join(kJournalEnds, id); }

/// The name that a key carries after its prefix.
inline std::string after(std::string_view prefix, std::string_view key) {
  return std::string(key.substr(prefix.size()));
}

}  // namespace tarn::versioning::keys
