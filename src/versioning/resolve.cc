// What a ref expression stands for.
#include <algorithm>
#include <charconv>

#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

bool is_hex(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Error bad_ref(std::string_view ref, std::string_view why) {
  return Error(Code::kInvalid, "ref", "'" + std::string(ref.substr(0, 80)) + "' is no valid ref: " + std::string(why));
}

Error no_ref(std::string_view ref) {
  return Error(Code::kNotFound, "ref",
               "'" + std::string(ref.substr(0, 80)) + "' is no branch, tag or commit of this repository");
}

}  // namespace

// Full id, branch, tag, unique id prefix.
Result<Resolved> EngineImpl::resolve_plain(const Context& ctx, const Repository& repository, std::string_view name) {
  if (name.empty()) return bad_ref(name, "it is empty");
  if (const auto id = name.size() == 64 ? CommitId::from_hex(name) : std::nullopt) {
    auto commit = load_commit(ctx, repository, *id);
    if (commit) return Resolved{std::move(*commit), {}};
    if (commit.error().code() != Code::kNotFound) return commit.error();
  }
  TRY_LET(const std::optional<kv::Row> branch_row, kv_.get(ctx, keys::branch(repository.id, name)));
  if (branch_row) {
    TRY_LET(Branch branch, decode_branch(name, branch_row->value, branch_row->version));
    TRY_LET(Commit head, load_commit(ctx, repository, branch.head));
    return Resolved{std::move(head), std::move(branch)};
  }
  TRY_LET(const std::optional<kv::Row> tag_row, kv_.get(ctx, keys::tag(repository.id, name)));
  if (tag_row) {
    TRY_LET(const CommitId id, decode_tag(tag_row->value));
    TRY_LET(Commit commit, load_commit(ctx, repository, id));
    return Resolved{std::move(commit), {}};
  }
  TRY(require_alive(ctx, repository));
  if (!is_hex(name)) return no_ref(name);
  const auto rows = kv_.scan(ctx, keys::commits(repository.id) + std::string(name));
  TRY_LET(const std::optional<kv::KeyRow> first, rows->next());
  if (!first) return no_ref(name);
  TRY_LET(const std::optional<kv::KeyRow> second, rows->next());
  if (second)
    return Error(Code::kNotFound, "ref", "'" + std::string(name) + "' is the beginning of several commit ids");
  TRY_LET(StoredCommit stored, decode_commit(first->row.value));
  return Resolved{std::move(stored.commit), {}};
}

Result<Resolved> EngineImpl::resolve(const Context& ctx, const Repository& repository, std::string_view ref) {
  if (ref.empty() || ref.size() > 512) return bad_ref(ref, "a ref has 1 to 512 bytes");
  for (const char c : ref)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f)
      return bad_ref(ref, "it contains a space or control character");
  const size_t modifiers = ref.find_first_of("~^@$");
  if (modifiers == std::string_view::npos) return resolve_plain(ctx, repository, ref);
  // A tag's name may contain '~', '@' and '$'.
  TRY_LET(const std::optional<kv::Row> tag, kv_.get(ctx, keys::tag(repository.id, ref)));
  if (tag) return resolve_plain(ctx, repository, ref);

  TRY_LET(Resolved at, resolve_plain(ctx, repository, ref.substr(0, modifiers)));
  std::string_view rest = ref.substr(modifiers);
  if (rest[0] == '@' || rest[0] == '$') {
    if (rest.size() != 1) return bad_ref(ref, "'@' and '$' must be its only modifier");
    if (!at.branch) return bad_ref(ref, "'@' and '$' follow a branch name");
    if (rest[0] == '@') at.branch.reset();
    return at;
  }
  at.branch.reset();
  while (!rest.empty()) {
    const char op = rest[0];
    if (op != '~' && op != '^') return bad_ref(ref, "only '~' and '^' may follow one another");
    uint64_t number = 1;
    const char* const begin = rest.data() + 1;
    const char* const end = rest.data() + rest.size();
    const auto parsed = std::from_chars(begin, end, number);
    if (parsed.ec == std::errc::result_out_of_range) number = UINT64_MAX;
    rest = rest.substr(static_cast<size_t>(parsed.ptr - rest.data()));
    if (op == '^') {
      if (number == 0) continue;
      if (number > at.commit.parents.size())
        return Error(Code::kInvalid, "parent",
                     "commit " + at.commit.id.hex() + " has " + std::to_string(at.commit.parents.size()) + " parents");
      TRY_LET(at.commit, load_commit(ctx, repository, at.commit.parents[number - 1]));
      continue;
    }
    if (number >= at.commit.generation) return no_ref(ref);  // no path is longer than the generation
    if (number == 0) continue;
    CommitGraph::Reader graph(commit_graph(repository));
    TRY_LET(CommitGraph::Index index, graph.find(ctx, at.commit.id));
    while (number > 0) {
      TRY_LET(const CommitGraph::Node* node, graph.load(ctx, index));
      if (node->first == CommitGraph::kNone) return no_ref(ref);
      // The commits of a line are numbered one after another.
      const uint64_t steps = std::min<uint64_t>(number, node->line - 1);
      index = steps > 0 ? index - static_cast<CommitGraph::Index>(steps) : node->first;
      number -= std::max<uint64_t>(steps, 1);
      if (number % 1024 == 0) TRY(ctx.check(clock_));
    }
    TRY_LET(const CommitGraph::Node* found, graph.load(ctx, index));
    TRY_LET(at.commit, load_commit(ctx, repository, found->id));
  }
  return at;
}

}  // namespace tarn::versioning::detail
