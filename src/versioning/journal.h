#pragma once
// The ref journal's bytes: what outlives the key-value store about refs. docs/formats/ref-journal.md is the page.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "block/store.h"
#include "versioning/engine.h"
#include "versioning/types.h"

namespace tarn::versioning::journal {

enum class Form : uint8_t {
  kMoves = 1,    ///< what changed since the object before
  kSnapshot = 2  ///< everything; what came before does not count any more
};

/// The state of one thing at the moment of the writing, never a difference: a later entry of the same thing wins.
struct Entry {
  enum class Kind : uint8_t { kRepository = 1, kProtection = 2, kBranch = 3, kTag = 4 };
  Kind kind = Kind::kBranch;
  std::string name;                  ///< empty for a repository and its protection
  std::optional<std::string> value;  ///< nullopt: it is gone
  bool operator==(const Entry&) const = default;
};

struct Object {
  Form form = Form::kMoves;
  std::string repository_id;
  uint64_t number = 0;          ///< 1, 2, 3 … without a gap within one repository's journal
  base::WallMs written_ms = 0;  ///< for people; order comes from the number
  std::vector<Entry> entries;
};

std::string encode(const Object& object);
/// Errors: kCorrupt; kUnsupported for a newer version.
Result<Object> decode(std::string_view bytes);

// Values of entries.
std::string encode_branch_value(const Branch& branch);
/// `committed_through` and `version` are 0: they belong to a key-value store.
Result<Branch> decode_branch_value(std::string_view name, std::string_view value);
std::string encode_tag_value(const CommitId& commit);
Result<CommitId> decode_tag_value(std::string_view value);

/// "<prefix>refs/<repository id>/": under it lie the journal's objects.
std::string folder_of(std::string_view block_prefix, std::string_view repository_id);
/// "<folder>00000000000000000012".
Result<block::Name> name_of(std::string_view folder, uint64_t number);
/// The number of a name below a journal's folder, or nullopt for anything else.
std::optional<uint64_t> number_of(std::string_view folder, std::string_view name);

/// What a whole journal says.
struct State {
  bool gone = false;  ///< the repository was deleted
  std::optional<Repository> repository;
  std::vector<ProtectionRule> protection;
  std::map<std::string, Branch> branches;
  std::map<std::string, CommitId> tags;
  uint64_t objects = 0, first = 0, last = 0;  ///< what lies there
  uint64_t snapshot = 0;                      ///< number of the snapshot it began with; 0: none
  base::WallMs written_ms = 0;                ///< of the newest object that could be read
  std::vector<std::string> damage;            ///< in words, one a lie; the state is then of what could be read
};
/// The numbers of a journal's objects, ascending. Cost: lists the store.
Result<std::vector<uint64_t>> numbers_of(const Context& ctx, block::Store& blocks, const std::string& folder);
/// Reads the objects of one journal, given their numbers ascending. A damaged or missing object is said in `damage` and
/// the rest is still read. Errors: only what stops all reading (kUnavailable, kDeadline, kCancelled).
Result<State> read(const Context& ctx, block::Store& blocks, const std::string& folder,
                   const std::string& repository_id, const std::vector<uint64_t>& numbers);

}  // namespace tarn::versioning::journal
