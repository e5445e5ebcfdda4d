#include "versioning/detail/ref_journal.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/bytes.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "versioning/keys.h"
#include "versioning/records.h"

namespace tarn::versioning::detail {
namespace {

constexpr char kStored = '\x01';
constexpr size_t kEntriesMax = 20'000;  // of one object of moves
constexpr size_t kEraseBatch = 5'000;
constexpr uint64_t kMovesBeforeFold = 64;      // a snapshot is worth its bytes from here on …
constexpr uint64_t kMovesMax = 1'024;          // … and is made from here on whatever it costs
constexpr uint64_t kSnapshotBytesPerMove = 4;  // moves of a quarter of a snapshot's bytes pay for the next one
constexpr int kAttempts = 5;
constexpr int64_t kLookMs = 30'000;  // the net under a wake-up that was missed
constexpr int kLooksAfterPromise = 30;

std::string mark() { return std::string(1, kStored); }

std::string json_of(std::string_view record) { return std::string(record.substr(1)); }

}  // namespace

std::string RefJournal::End::encode() const {
  base::ByteWriter out;
  out.u8(kStored);
  for (const uint64_t field : {first, last, snapshot_bytes, moves, moves_bytes}) out.varint(field);
  return out.take();
}

Result<RefJournal::End> RefJournal::End::decode(const kv::Row& row) {
  base::ByteReader in(row.value, "end of the ref journal");
  TRY_LET(const uint8_t version, in.u8());
  if (version != kStored) return in.corrupt("its format is not known: use the version that wrote it");
  End end;
  for (uint64_t* field : {&end.first, &end.last, &end.snapshot_bytes, &end.moves, &end.moves_bytes}) {
    TRY_LET(*field, in.varint());
  }
  end.version = row.version;
  return end;
}

void RefJournal::note_branch(kv::Batch& batch, const std::string& repository_id, std::string_view name) {
  batch.put(keys::noted_branch(repository_id, name), mark());
}
void RefJournal::note_tag(kv::Batch& batch, const std::string& repository_id, std::string_view name) {
  batch.put(keys::noted_tag(repository_id, name), mark());
}
void RefJournal::note_protection(kv::Batch& batch, const std::string& repository_id) {
  batch.put(keys::noted_protection(repository_id), mark());
}
void RefJournal::note_repository(kv::Batch& batch, const std::string& repository_id) {
  batch.put(keys::noted_repository(repository_id), mark());
}
void RefJournal::note_created(kv::Batch& batch, const std::string& repository_id) {
  note_repository(batch, repository_id);
  batch.put(keys::journal_end(repository_id), End().encode());
}
void RefJournal::note_deleted(kv::Batch& batch, const Repository& repository) {
  const std::string all = keys::noted(repository.id);
  batch.erase_range(all, kv::prefix_end(all))
      .put(keys::noted_repository(repository.id), mark() + block_prefix(repository.storage_namespace));
}

RefJournal::~RefJournal() {
  {
    base::Lock lock(mutex_);
    closing_ = true;
  }
  woken_.notify_all();
  writer_.join();
  if (interval_ms_ == 0) return;
  if (const auto written = pass({}); !written)
    base::log(base::Level::kWarning, "the ref journal lacks the last moves; the next start writes them",
              {{"error", written.error().text()}});
}

void RefJournal::noted() {
  if (noted_.exchange(true)) return;
  base::Lock lock(mutex_);
  woken_.notify_one();
}

void RefJournal::will_be_noted() {
  looks_.store(kLooksAfterPromise);
  noted();
}

void RefJournal::start(int64_t interval_ms) {
  interval_ms_ = interval_ms;
  writer_ = base::Thread([this] { run(); });
}

void RefJournal::run() {
  bool checked = false, failing = false;
  const auto wait = [this](int64_t ms, auto until) {
    base::Lock lock(mutex_);
    woken_.wait_for(lock, std::chrono::milliseconds(ms), [&] { return closing_ || until(); });
    return !closing_;
  };
  // The first move after a quiet time is written at once, the next ones together when the interval is over.
  while (wait(kLookMs, [this] { return noted_.load() || looks_.load() > 0; })) {
    noted_.store(false);
    if (looks_.load() > 0) looks_.fetch_sub(1);
    const Context ctx;
    const uint64_t before = objects_.load();
    Result<void> done;
    if (!checked) done = check_ends(ctx);
    checked = checked || done;
    if (done) done = pass(ctx);
    if (!done) {
      noted_.store(true);
      if (!failing) base::log(base::Level::kWarning, "the ref journal waits", {{"error", done.error().text()}});
    }
    failing = !done;
    if (done && objects_.load() == before && looks_.load() == 0) continue;  // nothing was written: no pause is due
    if (!wait(interval_ms_, [] { return false; })) return;
  }
}

Result<void> RefJournal::flush(const Context& ctx) {
  TRY(check_ends(ctx));
  return pass(ctx);
}

Result<void> RefJournal::condense(const Context& ctx, const Repository& repository) {
  TRY(pass(ctx));
  base::Lock passing(passing_);
  TRY_LET(const std::optional<End> end, find_end(ctx, repository.id));
  if (!end || end->moves == 0) return {};
  return write_snapshot(ctx, repository.id, repository, *end);
}

// One view for rows and refs: an object says what held at one moment, and a later object at a later one.
Result<void> RefJournal::pass(const Context& ctx) {
  base::Lock passing(passing_);
  TRY_LET(const auto view, kv_.view(ctx));
  const auto rows = view->scan(keys::kNoted);
  std::string id;
  std::vector<Noted> noted;
  while (true) {
    TRY_LET(std::optional<kv::KeyRow> row, rows->next());
    const std::string rest = row ? keys::after(keys::kNoted, row->key) : std::string();
    const std::string now = rest.substr(0, rest.find('/'));
    if (!noted.empty() && (now != id || noted.size() >= kEntriesMax)) {
      TRY(write_moves(ctx, *view, id, noted));
      noted.clear();
    }
    if (!row) return {};
    id = now;
    noted.push_back({rest.substr(std::min(rest.size(), id.size() + 1)), std::move(*row)});
  }
}

Result<std::optional<RefJournal::End>> RefJournal::find_end(const Context& ctx, const std::string& id) {
  TRY_LET(const std::optional<kv::Row> row, kv_.get(ctx, keys::journal_end(id)));
  if (!row) return std::optional<End>();
  TRY_LET(const End end, End::decode(*row));
  return std::optional<End>(end);
}

Result<RefJournal::End> RefJournal::search_end(const Context& ctx, const std::string& folder) {
  End end;
  TRY(blocks_.list(ctx, folder, [&](const block::Name& name, const block::Info&) -> Result<void> {
    const auto number = journal::number_of(folder, name.str());
    if (!number) return {};
    end.first = end.first == 0 ? *number : std::min(end.first, *number);
    end.last = std::max(end.last, *number);
    return {};
  }));
  return end;
}

void RefJournal::put_end(kv::Batch& batch, const std::string& id, const End& end) {
  if (end.version != 0)
    batch.require_version(keys::journal_end(id), end.version);
  else
    batch.require_absent(keys::journal_end(id));
  batch.put(keys::journal_end(id), end.encode());
}

// A name that is taken already is an object of ours whose batch did not come to pass: it says what held then.
Result<uint64_t> RefJournal::put(const Context& ctx, const std::string& folder, journal::Object& object, End& end) {
  object.written_ms = clock_.wall_ms();
  while (true) {
    object.number = end.last + 1;
    TRY_LET(const block::Name name, journal::name_of(folder, object.number));
    const std::string bytes = journal::encode(object);
    KILL_POINT("versioning.journal.before_put");
    const auto stored = blocks_.put(ctx, name, bytes);
    if (!stored && stored.error().code() != Code::kAlreadyExists) return stored.error();
    end.last = object.number;
    if (end.first == 0) end.first = end.last;
    if (stored) {
      ++objects_;
      KILL_POINT("versioning.journal.after_put");
      return bytes.size();
    }
  }
}

Result<void> RefJournal::write_moves(const Context& ctx, kv::View& view, const std::string& id,
                                     const std::vector<Noted>& noted) {
  TRY_LET(const std::optional<kv::Row> alive, view.get(keys::alive(id)));
  if (!alive) {
    for (const Noted& one : noted)
      if (one.what == "r" && one.row.row.value.size() > 1) return write_deletion(ctx, id, one);
    kv::Batch batch;  // nothing says where its journal lies
    for (const Noted& one : noted) batch.erase_if_version(one.row.key, one.row.row.version);
    TRY(kv_.apply(ctx, batch));
    return {};
  }
  TRY_LET(const Repository repository, decode_repository(alive->value, alive->version));
  const std::string folder = journal::folder_of(block_prefix(repository.storage_namespace), id);
  journal::Object object;
  object.repository_id = id;
  for (const Noted& one : noted) {
    journal::Entry entry;
    const std::string name = one.what.size() > 2 ? one.what.substr(2) : std::string();
    if (one.what == "r") {
      entry.kind = journal::Entry::Kind::kRepository;
      TRY_LET(const std::optional<kv::Row> row, view.get(keys::repository(repository.name)));
      if (row) entry.value = json_of(row->value);
    } else if (one.what == "p") {
      entry.kind = journal::Entry::Kind::kProtection;
      TRY_LET(const std::optional<kv::Row> row, view.get(keys::protection(id)));
      if (row) entry.value = json_of(row->value);
    } else if (one.what.starts_with("b/")) {
      entry = {journal::Entry::Kind::kBranch, name, {}};
      TRY_LET(const std::optional<kv::Row> row, view.get(keys::branch(id, name)));
      if (row) {
        TRY_LET(const Branch branch, decode_branch(name, row->value, row->version));
        entry.value = journal::encode_branch_value(branch);
      }
    } else if (one.what.starts_with("t/")) {
      entry = {journal::Entry::Kind::kTag, name, {}};
      TRY_LET(const std::optional<kv::Row> row, view.get(keys::tag(id, name)));
      if (row) {
        TRY_LET(const CommitId commit, decode_tag(row->value));
        entry.value = journal::encode_tag_value(commit);
      }
    } else {
      return Error(Code::kCorrupt, "ref journal", "a row of the ref journal has an unknown name: " + one.row.key);
    }
    object.entries.push_back(std::move(entry));
  }

  for (int attempt = 0;; ++attempt) {
    TRY_LET(std::optional<End> end, find_end(ctx, id));
    if (!end) {
      TRY_LET(const End found, search_end(ctx, folder));
      return write_snapshot(ctx, id, repository, found);
    }
    TRY_LET(const uint64_t bytes, put(ctx, folder, object, *end));
    ++end->moves;
    end->moves_bytes += bytes;
    kv::Batch batch;
    put_end(batch, id, *end);
    for (const Noted& one : noted) batch.erase_if_version(one.row.key, one.row.row.version);
    const auto applied = kv_.apply(ctx, batch);
    if (!applied) {
      if (applied.error().code() != Code::kConflict || attempt >= kAttempts) return applied.error();
      continue;
    }
    KILL_POINT("versioning.journal.after_batch");
    end->version = *applied;
    const bool pays = end->moves >= kMovesBeforeFold && end->moves_bytes * kSnapshotBytesPerMove >= end->snapshot_bytes;
    if (!pays && end->moves < kMovesMax) return {};
    return write_snapshot(ctx, id, repository, *end);
  }
}

// The snapshot is of the key-value store, not of the objects before it: whatever they lacked is mended.
Result<void> RefJournal::write_snapshot(const Context& ctx, const std::string& id, const Repository& repository,
                                        End end) {
  TRY_LET(const auto view, kv_.view(ctx));
  TRY_LET(const std::optional<kv::Row> record, view->get(keys::repository(repository.name)));
  TRY_LET(const std::optional<kv::Row> alive, view->get(keys::alive(id)));
  if (!record || !alive) return {};  // deleted meanwhile: that is noted
  journal::Object object;
  object.form = journal::Form::kSnapshot;
  object.repository_id = id;
  object.entries.push_back({journal::Entry::Kind::kRepository, "", json_of(record->value)});
  TRY_LET(const std::optional<kv::Row> rules, view->get(keys::protection(id)));
  if (rules) object.entries.push_back({journal::Entry::Kind::kProtection, "", json_of(rules->value)});
  const auto each = [&](const std::string& prefix, auto add) -> Result<void> {
    const auto rows = view->scan(prefix);
    while (true) {
      TRY_LET(const std::optional<kv::KeyRow> row, rows->next());
      if (!row) return {};
      TRY(add(keys::after(prefix, row->key), row->row));
    }
  };
  TRY(each(keys::branches(id), [&](std::string name, const kv::Row& row) -> Result<void> {
    TRY_LET(const Branch branch, decode_branch(name, row.value, row.version));
    object.entries.push_back({journal::Entry::Kind::kBranch, std::move(name), journal::encode_branch_value(branch)});
    return {};
  }));
  TRY(each(keys::tags(id), [&](std::string name, const kv::Row& row) -> Result<void> {
    TRY_LET(const CommitId commit, decode_tag(row.value));
    object.entries.push_back({journal::Entry::Kind::kTag, std::move(name), journal::encode_tag_value(commit)});
    return {};
  }));

  const std::string folder = journal::folder_of(block_prefix(repository.storage_namespace), id);
  TRY_LET(end.snapshot_bytes, put(ctx, folder, object, end));
  end.moves = end.moves_bytes = 0;
  kv::Batch batch;
  put_end(batch, id, end);
  TRY_LET(end.version, kv_.apply(ctx, batch));
  KILL_POINT("versioning.journal.after_snapshot");

  batch = kv::Batch();
  const auto covered = view->scan(keys::noted(id));
  while (true) {
    TRY_LET(const std::optional<kv::KeyRow> row, covered->next());
    if (row) batch.erase_if_version(row->key, row->row.version);
    if (!batch.empty() && (!row || batch.steps().size() >= kEraseBatch)) {
      TRY(kv_.apply(ctx, batch));
      batch = kv::Batch();
    }
    if (!row) break;
  }
  TRY(remove_before(ctx, folder, end.first, end.last));
  end.first = end.last;
  put_end(batch, id, end);
  TRY(kv_.apply(ctx, batch));
  return {};
}

Result<void> RefJournal::write_deletion(const Context& ctx, const std::string& id, const Noted& deletion) {
  const std::string folder = journal::folder_of(deletion.row.row.value.substr(1), id);
  TRY_LET(const std::optional<End> known, find_end(ctx, id));
  End end;
  if (known) {
    end = *known;
  } else {
    TRY_LET(end, search_end(ctx, folder));
  }
  journal::Object object;
  object.repository_id = id;
  object.entries.push_back({journal::Entry::Kind::kRepository, "", std::nullopt});
  TRY(put(ctx, folder, object, end));
  TRY(remove_before(ctx, folder, end.first, end.last));
  kv::Batch batch;
  batch.erase(keys::journal_end(id)).erase_if_version(deletion.row.key, deletion.row.row.version);
  TRY(kv_.apply(ctx, batch));
  return {};
}

// Oldest first, so that what is left of a removal that was cut short never has a hole behind it.
Result<void> RefJournal::remove_before(const Context& ctx, const std::string& folder, uint64_t from, uint64_t to) {
  for (uint64_t number = std::max<uint64_t>(from, 1); number < to; ++number) {
    TRY_LET(const block::Name name, journal::name_of(folder, number));
    KILL_POINT("versioning.journal.before_remove");
    TRY(blocks_.remove(ctx, name));
  }
  return {};
}

Result<void> RefJournal::check_ends(const Context& ctx) {
  base::Lock passing(passing_);
  const auto present = [&](const std::string& folder, uint64_t number) -> Result<bool> {
    TRY_LET(const block::Name name, journal::name_of(folder, number));
    const auto info = blocks_.stat(ctx, name);
    if (!info && info.error().code() != Code::kNotFound) return info.error();
    return info.ok();
  };
  const auto rows = kv_.scan(ctx, keys::kRepositories);
  while (true) {
    TRY_LET(const std::optional<kv::KeyRow> row, rows->next());
    if (!row) return {};
    TRY_LET(const Repository repository, decode_repository(row->row.value, row->row.version));
    const std::string folder = journal::folder_of(block_prefix(repository.storage_namespace), repository.id);
    TRY_LET(std::optional<End> end, find_end(ctx, repository.id));
    if (end) {
      bool last = true;
      if (end->last != 0) {
        TRY_LET(last, present(folder, end->last));
      }
      TRY_LET(const bool more, present(folder, end->last + 1));
      if (last && !more) continue;
      if (last) {
        // A crash came between an object and its batch, or the key-value store is older than the journal.
        for (bool again = true; again; ++end->last) {
          TRY_LET(again, present(folder, end->last + 2));
        }
        if (end->first == 0) end->first = 1;
        TRY(write_snapshot(ctx, repository.id, repository, *end));
        continue;
      }
    }
    TRY_LET(End found, search_end(ctx, folder));
    if (end) {
      found.version = end->version;
      found.last = std::max(found.last, end->last);
      base::log(base::Level::kWarning, "the ref journal is not what it should be; it begins anew with a snapshot",
                {{"repository", repository.name}});
    }
    TRY(write_snapshot(ctx, repository.id, repository, found));
  }
}

}  // namespace tarn::versioning::detail
