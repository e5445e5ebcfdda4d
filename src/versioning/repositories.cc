// Repositories: creation, deletion, the claim on a storage namespace, metadata and protection rules.
#include "kv/record.h"
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

constexpr int kAttempts = 10;
constexpr size_t kKnownRepositories = 1'000;

Error no_repository(std::string_view name) {
  return Error(Code::kNotFound, "repository", "repository '" + std::string(name) + "' does not exist");
}

Error namespace_taken(std::string_view text, std::string_view why) {
  return Error(Code::kAlreadyExists, "storage_namespace",
               "storage namespace '" + std::string(text) + "' " + std::string(why) + ": choose another one");
}

std::string claim_of(const std::string& id, bool released) {
  return kv::encode_record(Json::object({{"repository", id}, {"released", released}}));
}

Result<block::Name> record_name(const Repository& repository) {
  return block::make_name(block_prefix(repository.storage_namespace) + "tarn/repository.json");
}

bool overlaps(std::string_view a, std::string_view b) { return a.starts_with(b) || b.starts_with(a); }

}  // namespace

// Who else claims this place, or one above or below it. `released` gives the id of a deleted repository that left it.
Result<void> EngineImpl::check_namespace(kv::View& view, const std::string& prefix, std::string& released) {
  const auto look = [&](const std::string& place, const kv::Row& row) -> Result<void> {
    TRY_LET(const Json claim, kv::decode_record(row.value, "storage_namespace"));
    if (claim["released"].as_bool()) {
      if (place == prefix) released = claim["repository"].as_string();
      return {};
    }
    return namespace_taken(prefix, overlaps(place, prefix) && place != prefix
                                       ? "overlaps '" + place + "' of another repository"
                                       : "is in use by another repository");
  };
  for (size_t slash = prefix.find('/'); slash != std::string::npos; slash = prefix.find('/', slash + 1)) {
    const std::string place = prefix.substr(0, slash + 1);
    TRY_LET(const std::optional<kv::Row> row, view.get(keys::namespace_claim(place)));
    if (row) TRY(look(place, *row));
  }
  const auto below = view.scan(keys::namespace_claim(prefix));
  while (true) {
    TRY_LET(const std::optional<kv::KeyRow> row, below->next());
    if (!row) return {};
    TRY(look(keys::after(keys::kNamespaces, row->key), row->row));
  }
}

// The namespace's own record, so that the repository can be rebuilt without the key-value store. A record that a
// deleted repository left (proved by its released claim) gives way.
Result<void> EngineImpl::write_namespace_record(const Context& ctx, const Repository& repository,
                                                std::string_view released) {
  TRY_LET(const block::Name name, record_name(repository));
  const std::string bytes = encode_repository(repository).substr(1);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto put = blocks_.put(ctx, name, bytes);
    if (put) return {};
    if (put.error().code() != Code::kAlreadyExists) return put.error();
    TRY_LET(const std::string present, blocks_.read(ctx, name, 0, std::nullopt));
    const auto json = Json::parse(present);
    const std::string holder = json ? (*json)["id"].as_string() : std::string();
    if (holder == repository.id) return {};
    if (released.empty() || holder != released)
      return namespace_taken(repository.storage_namespace, "already holds a repository that this server does not know");
    TRY(blocks_.remove(ctx, name));
  }
  return namespace_taken(repository.storage_namespace, "could not be freed");
}

Result<void> EngineImpl::repair_namespaces(const Context& ctx) {
  const auto rows = kv_.scan(ctx, keys::kRepositories);
  while (true) {
    TRY_LET(const std::optional<kv::KeyRow> row, rows->next());
    if (!row) return {};
    TRY_LET(const Repository repository, decode_repository(row->row.value, row->row.version));
    TRY_LET(const block::Name name, record_name(repository));
    const auto present = blocks_.stat(ctx, name);
    if (present) continue;
    if (present.error().code() != Code::kNotFound) return present.error();
    TRY(write_namespace_record(ctx, repository, ""));
  }
}

// Pack of the first commit -> one batch (record, claim, branch) -> the namespace's record. A crash before the batch
// leaves an unnamed pack; after it, open() writes the record.
Result<Repository> EngineImpl::create_repository(const Context& ctx, const RepositoryCreation& in,
                                                 const kv::Batch& also) {
  TRY(check_repository_name(in.name));
  TRY(check_storage_namespace(in.storage_namespace));
  TRY(check_branch_name(in.default_branch));

  Repository repository;
  repository.name = in.name;
  repository.storage_namespace = in.storage_namespace;
  repository.default_branch = in.default_branch;
  repository.created_ms = clock_.wall_ms();
  repository.read_only = in.read_only;
  repository.metadata = in.metadata;
  const std::string prefix = block_prefix(in.storage_namespace);

  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    repository.id = random_.hex(8);
    repository.parameters.seed = random_.u64();
    TRY_LET(const auto view, kv_.view(ctx));
    TRY_LET(const std::optional<kv::Row> taken, view->get(keys::repository(in.name)));
    if (taken) return Error(Code::kAlreadyExists, "repository", "repository '" + in.name + "' exists already");
    std::string released;
    TRY(check_namespace(*view, prefix, released));
    TRY_LET(const block::Name record, record_name(repository));
    if (released.empty()) {
      const auto present = blocks_.stat(ctx, record);
      if (present)
        return namespace_taken(in.storage_namespace, "already holds a repository that this server does not know");
      if (present.error().code() != Code::kNotFound) return present.error();
    }
    TRY_LET(const std::optional<kv::Row> turn, view->get(keys::namespace_turn()));

    kv::Batch batch;
    batch.require_absent(keys::repository(in.name)).require_absent(keys::alive(repository.id));
    if (turn)
      batch.require_version(keys::namespace_turn(), turn->version);
    else
      batch.require_absent(keys::namespace_turn());
    batch.put(keys::repository(in.name), encode_repository(repository))
        .put(keys::alive(repository.id), encode_repository(repository))
        .put(keys::protection(repository.id), encode_protection({}))
        .put(keys::namespace_claim(prefix), claim_of(repository.id, false))
        .put(keys::namespace_turn(), claim_of(repository.id, false));
    if (!in.bare) {
      CommitSpec spec;
      spec.message = "Repository created";
      Commit first = make_commit(spec, {}, 1);
      first.root = tree::empty_root(repository.parameters);
      const auto builder = packs(repository)->begin();
      seal(repository, in.default_branch, first, {}, *builder);
      TRY(write_pack(ctx, repository, *builder));
      Branch branch;
      branch.id = random_.hex(8);
      branch.head = first.id;
      branch.created_ms = repository.created_ms;
      batch.put(keys::commit(repository.id, first.id), encode_commit(first, repository.id, in.default_branch))
          .put(keys::branch(repository.id, in.default_branch), encode_branch(branch))
          .put(keys::epoch(repository.id, branch.id), encode_tag(first.id));
      RefJournal::note_branch(batch, repository.id, in.default_branch);
    }
    RefJournal::note_created(batch, repository.id);
    batch.append(also);
    const auto applied = kv_.apply(ctx, batch);
    journal_.noted();
    if (applied) {
      repository.version = *applied;
      if (const auto written = write_namespace_record(ctx, repository, released); !written)
        return written.error().wrap(Code::kUnknownOutcome, "repository",
                                    "repository '" + in.name +
                                        "' was created, but the record in its storage namespace is not written yet; "
                                        "the next start writes it");
      return repository;
    }
    if (applied.error().code() != Code::kConflict) return applied.error();
    TRY_LET(const std::optional<kv::Row> turn_now, kv_.get(ctx, keys::namespace_turn()));
    if (turn_now.has_value() == turn.has_value() && (!turn || turn->version == turn_now->version))
      return applied.error();  // only a precondition of `also` can have failed
  }
  return Error(Code::kBusy, "repository", "too many repositories are being created at once: try again later");
}

Result<Repository> EngineImpl::get_repository(const Context& ctx, std::string_view name) {
  TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::repository(name)));
  if (!row) return no_repository(name);
  {
    base::Lock lock(mutex_);
    const auto known = repositories_.find(name);
    if (known != repositories_.end() && known->second->version == row->version) return *known->second;
  }
  TRY_LET(Repository repository, decode_repository(row->value, row->version));
  auto shared = std::make_shared<const Repository>(repository);
  base::Lock lock(mutex_);
  if (repositories_.size() >= kKnownRepositories) repositories_.clear();
  repositories_.insert_or_assign(std::string(name), std::move(shared));
  return repository;
}

Result<Page<Repository>> EngineImpl::list_repositories(const Context& ctx, const PageQuery& query) {
  Page<Repository> page;
  const std::string from = query.after.empty() ? std::string() : keys::repository(query.after) + '\0';
  const auto rows = kv_.scan(ctx, keys::repository(query.prefix), from);
  while (true) {
    TRY_LET(const std::optional<kv::KeyRow> row, rows->next());
    if (!row) return page;
    if (page.items.size() == query.amount) {
      page.has_more = true;
      return page;
    }
    TRY_LET(Repository repository, decode_repository(row->row.value, row->row.version));
    page.next_after = repository.name;
    page.items.push_back(std::move(repository));
  }
}

// One batch takes everything below the id; objects and packs stay in the namespace. The claim is marked as released,
// which proves later that the record left in the namespace may give way.
Result<void> EngineImpl::delete_repository(const Context& ctx, std::string_view name) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    TRY_LET(const Repository repository, get_repository(ctx, name));
    kv::Batch batch;
    batch.require_version(keys::repository(name), repository.version);
    batch.erase(keys::repository(name)).erase(keys::alive(repository.id)).erase(keys::protection(repository.id));
    for (const std::string& prefix :
         {keys::branches(repository.id), keys::tags(repository.id), keys::commits(repository.id),
          keys::epochs(repository.id), keys::staging(repository.id), keys::relocations(repository.id)})
      batch.erase_range(prefix, kv::prefix_end(prefix));
    batch.put(keys::namespace_claim(block_prefix(repository.storage_namespace)), claim_of(repository.id, true))
        .put(keys::namespace_turn(), claim_of(repository.id, true));
    RefJournal::note_deleted(batch, repository);
    const auto applied = kv_.apply(ctx, batch);
    journal_.noted();
    if (!applied) {
      if (applied.error().code() == Code::kConflict) continue;
      return applied.error();
    }
    {
      base::Lock lock(mutex_);
      packs_.erase(repository.id);
      unfolded_.erase(repository.id);
      graphs_.erase(repository.id);
      std::erase_if(commits_, [&](const auto& item) { return item.first.starts_with(repository.id); });
      std::erase_if(gates_, [&](const auto& item) { return item.first.starts_with(repository.id); });
    }
    if (const auto record = record_name(repository)) (void)blocks_.remove(ctx, *record);
    return {};
  }
  return Error(Code::kBusy, "repository", "the repository changes too often: try again later");
}

Result<void> EngineImpl::set_repository_metadata(const Context& ctx, std::string_view name, const Metadata& metadata) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    TRY_LET(Repository repository, get_repository(ctx, name));
    const kv::Sequence version = repository.version;
    repository.metadata = metadata;
    kv::Batch batch;
    batch.require_version(keys::repository(name), version).put(keys::repository(name), encode_repository(repository));
    RefJournal::note_repository(batch, repository.id);
    const auto applied = kv_.apply(ctx, batch);
    journal_.noted();
    if (applied) return {};
    if (applied.error().code() != Code::kConflict) return applied.error();
  }
  return Error(Code::kBusy, "repository", "the repository changes too often: try again later");
}

Result<std::vector<ProtectionRule>> EngineImpl::protection(const Context& ctx, const Repository& repository) {
  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(Protection stored, read_protection(*view, repository));
  return std::move(stored.rules);
}

Result<std::string> EngineImpl::protection_etag(const Context& ctx, const Repository& repository) {
  TRY_LET(const auto rules, protection(ctx, repository));
  return etag_of(rules);
}

Result<void> EngineImpl::set_protection(const Context& ctx, const Repository& repository,
                                        const std::vector<ProtectionRule>& rules,
                                        std::optional<std::string> expected_etag) {
  for (const ProtectionRule& rule : rules)
    if (rule.pattern.empty() || rule.pattern.size() > 255)
      return Error(Code::kInvalid, "pattern", "a branch protection pattern has 1 to 255 bytes");
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    TRY_LET(const auto view, kv_.view(ctx));
    TRY_LET(const Protection stored, read_protection(*view, repository));
    if (expected_etag && *expected_etag != etag_of(stored.rules))
      return Error(Code::kConflict, "protection",
                   "the branch protection rules were changed meanwhile: read them again");
    kv::Batch batch;
    batch.require_version(keys::protection(repository.id), stored.version)
        .put(keys::protection(repository.id), encode_protection(rules));
    RefJournal::note_protection(batch, repository.id);
    const auto applied = kv_.apply(ctx, batch);
    journal_.noted();
    if (applied) return {};
    if (applied.error().code() != Code::kConflict) return applied.error();
  }
  return Error(Code::kBusy, "protection", "the rules change too often: try again later");
}

}  // namespace tarn::versioning::detail
