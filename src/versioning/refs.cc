// Branches and tags.
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

Error exists(std::string_view kind, std::string_view name, std::string_view as) {
  return Error(Code::kAlreadyExists, std::string(kind),
               "'" + std::string(name) + "' exists already as a " + std::string(as) + ": take another name");
}

}  // namespace

Result<Branch> EngineImpl::create_branch(const Context& ctx, const Repository& repository, std::string_view name,
                                         std::string_view source, bool hidden, const kv::Batch& also) {
  TRY(check_branch_name(name));
  if (repository.read_only)
    return Error(Code::kForbidden, "repository", "repository '" + repository.name + "' is read-only");
  TRY_LET(const Resolved from, resolve(ctx, repository, source));
  if (const auto id = CommitId::from_hex(name)) {
    TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::commit(repository.id, *id)));
    if (row) return exists("branch", name, "commit");
  }
  Branch branch;
  branch.name = name;
  branch.id = random_.hex(8);
  branch.head = from.commit.id;
  branch.hidden = hidden;
  branch.created_ms = clock_.wall_ms();
  kv::Batch batch;
  batch.require_present(keys::alive(repository.id))
      .require_absent(keys::branch(repository.id, name))
      .require_absent(keys::tag(repository.id, name))
      .require_absent(keys::epoch(repository.id, branch.id));
  batch.put(keys::branch(repository.id, name), encode_branch(branch))
      .put(keys::epoch(repository.id, branch.id), encode_tag(branch.head))
      .append(also);
  RefJournal::note_branch(batch, repository.id, name);
  const auto applied = kv_.apply(ctx, batch);
  journal_.noted();
  if (applied) {
    branch.version = *applied;
    return branch;
  }
  if (applied.error().code() != Code::kConflict) return applied.error();
  TRY(require_alive(ctx, repository));
  TRY_LET(const std::optional<kv::Row> there, kv_.get(ctx, keys::branch(repository.id, name)));
  if (there) return exists("branch", name, "branch");
  TRY_LET(const std::optional<kv::Row> tag, kv_.get(ctx, keys::tag(repository.id, name)));
  if (tag) return exists("branch", name, "tag");
  return applied.error();
}

Result<Branch> EngineImpl::get_branch(const Context& ctx, const Repository& repository, std::string_view name) {
  TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::branch(repository.id, name)));
  if (row) return decode_branch(name, row->value, row->version);
  TRY(require_alive(ctx, repository));
  return Error(Code::kNotFound, "branch",
               "branch '" + std::string(name) + "' does not exist in repository '" + repository.name + "'");
}

Result<Page<Branch>> EngineImpl::list_branches(const Context& ctx, const Repository& repository, const PageQuery& query,
                                               bool show_hidden) {
  TRY(require_alive(ctx, repository));
  Page<Branch> page;
  const std::string all = keys::branches(repository.id);
  const auto rows = kv_.scan(ctx, all + query.prefix, query.after.empty() ? std::string() : all + query.after + '\0');
  while (true) {
    TRY_LET(const std::optional<kv::KeyRow> row, rows->next());
    if (!row) return page;
    TRY_LET(Branch branch, decode_branch(keys::after(all, row->key), row->row.value, row->row.version));
    if (branch.hidden && !show_hidden) continue;
    if (page.items.size() == query.amount) {
      page.has_more = true;
      return page;
    }
    page.next_after = branch.name;
    page.items.push_back(std::move(branch));
  }
}

Result<Tag> EngineImpl::create_tag(const Context& ctx, const Repository& repository, std::string_view name,
                                   std::string_view ref, bool force) {
  TRY(check_tag_name(name));
  if (repository.read_only)
    return Error(Code::kForbidden, "repository", "repository '" + repository.name + "' is read-only");
  TRY_LET(const Resolved at, resolve(ctx, repository, ref));
  if (const auto id = CommitId::from_hex(name)) {
    TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::commit(repository.id, *id)));
    if (row) return exists("tag", name, "commit");
  }
  kv::Batch batch;
  batch.require_present(keys::alive(repository.id)).require_absent(keys::branch(repository.id, name));
  if (!force) batch.require_absent(keys::tag(repository.id, name));
  batch.put(keys::tag(repository.id, name), encode_tag(at.commit.id));
  RefJournal::note_tag(batch, repository.id, name);
  const auto applied = kv_.apply(ctx, batch);
  journal_.noted();
  if (applied) return Tag{std::string(name), at.commit.id};
  if (applied.error().code() != Code::kConflict) return applied.error();
  TRY(require_alive(ctx, repository));
  TRY_LET(const std::optional<kv::Row> branch, kv_.get(ctx, keys::branch(repository.id, name)));
  return branch ? exists("tag", name, "branch") : exists("tag", name, "tag");
}

Result<void> EngineImpl::add_tag(kv::Batch& batch, const Repository& repository, std::string_view name,
                                 const CommitId& commit) {
  TRY(check_tag_name(name));
  batch.require_present(keys::alive(repository.id))
      .require_absent(keys::branch(repository.id, name))
      .require_absent(keys::tag(repository.id, name))
      .put(keys::tag(repository.id, name), encode_tag(commit));
  RefJournal::note_tag(batch, repository.id, name);
  journal_.will_be_noted();
  return {};
}

Result<Tag> EngineImpl::get_tag(const Context& ctx, const Repository& repository, std::string_view name) {
  TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::tag(repository.id, name)));
  if (!row) {
    TRY(require_alive(ctx, repository));
    return Error(Code::kNotFound, "tag",
                 "tag '" + std::string(name) + "' does not exist in repository '" + repository.name + "'");
  }
  TRY_LET(const CommitId commit, decode_tag(row->value));
  return Tag{std::string(name), commit};
}

Result<Page<Tag>> EngineImpl::list_tags(const Context& ctx, const Repository& repository, const PageQuery& query) {
  TRY(require_alive(ctx, repository));
  Page<Tag> page;
  const std::string all = keys::tags(repository.id);
  const auto rows = kv_.scan(ctx, all + query.prefix, query.after.empty() ? std::string() : all + query.after + '\0');
  while (true) {
    TRY_LET(const std::optional<kv::KeyRow> row, rows->next());
    if (!row) return page;
    if (page.items.size() == query.amount) {
      page.has_more = true;
      return page;
    }
    TRY_LET(const CommitId commit, decode_tag(row->row.value));
    page.items.push_back({keys::after(all, row->key), commit});
    page.next_after = page.items.back().name;
  }
}

Result<void> EngineImpl::delete_tag(const Context& ctx, const Repository& repository, std::string_view name) {
  if (repository.read_only)
    return Error(Code::kForbidden, "repository", "repository '" + repository.name + "' is read-only");
  TRY(get_tag(ctx, repository, name));
  kv::Batch batch;
  batch.require_present(keys::tag(repository.id, name)).erase(keys::tag(repository.id, name));
  RefJournal::note_tag(batch, repository.id, name);
  const auto applied = kv_.apply(ctx, batch);
  journal_.noted();
  if (applied) return {};
  if (applied.error().code() != Code::kConflict) return applied.error();
  return Error(Code::kNotFound, "tag", "tag '" + std::string(name) + "' does not exist");
}

Result<Commit> EngineImpl::get_commit(const Context& ctx, const Repository& repository, const CommitId& id) {
  return load_commit(ctx, repository, id);
}

}  // namespace tarn::versioning::detail
