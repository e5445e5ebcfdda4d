// Trains: what waits to land on one branch lands together, each on the one before (docs/notes/0003-landing-trains.md).
#include "base/log.h"
#include "base/metrics.h"
#include "versioning/detail/engine_impl.h"

namespace tarn::versioning::detail {
namespace {

constexpr size_t kLongestTrain = 64;
constexpr int64_t kReviewsMs = 50;                     // what a train waits for its reviews before it lands
constexpr auto kLook = std::chrono::milliseconds(50);  // how often who waits asks whether its time is over
constexpr std::string_view kTrains = "tarn_landing_trains_total", kLanded = "tarn_landings_total";

}  // namespace

size_t EngineImpl::waiting_to_land(const Repository& repository, std::string_view branch) {
  base::Lock lock(mutex_);
  const auto found = queues_.find(repository.id + std::string(branch));
  return found == queues_.end() ? 0 : found->second.waiting.size();
}

Result<Engine::MergeResult> EngineImpl::ride(const Repository& repository, std::string_view branch, Rider& rider) {
  if (repository.read_only)
    return Error(Code::kForbidden, "repository", "repository '" + repository.name + "' is read-only");
  TRY(rider.ctx.check(clock_));
  const std::string name(branch);
  const std::string key = repository.id + name;
  base::Lock lock(mutex_);
  LandingQueue& queue = queues_.try_emplace(key, LandingQueue{{}, kLongestTrain}).first->second;
  queue.waiting.push_back(&rider);
  if (queue.waiting.size() == 1) rider.place = Rider::Place::kLeads;
  const auto mine = [&] { return rider.place == Rider::Place::kLeads || rider.place == Rider::Place::kArrived; };
  while (!rider.woken.wait_for(lock, kLook, mine)) {
    if (rider.place != Rider::Place::kWaits) continue;  // in a train: what becomes of it is the answer
    if (const auto time = rider.ctx.check(clock_); !time) {
      std::erase(queue.waiting, &rider);  // never the first: somebody leads
      return time.error();
    }
  }
  while (rider.place == Rider::Place::kLeads) {
    std::vector<Rider*> train;
    const size_t longest = rider.alone ? 1 : queue.longest;
    for (Rider* next : queue.waiting) {
      if (train.size() == longest || (next != &rider && next->alone) || next->takes_rows() != rider.takes_rows()) break;
      train.push_back(next);
      if (next != &rider) next->place = Rider::Place::kRides;
    }
    lock.unlock();
    Outcome outcome;
    if (rider.alone)
      rider.arrived = rider.alone();
    else
      outcome = run_train(repository, name, train);
    lock.lock();
    queue.longest = outcome.fitted ? outcome.fitted : std::min(kLongestTrain, queue.longest * 2);
    for (Rider* one : train) {
      if (!one->arrived && outcome.lost && ++one->lost == kLandingAttempts) one->arrived = too_busy(branch);
      if (one != &rider && !one->arrived) one->place = Rider::Place::kWaits;
    }
    std::erase_if(queue.waiting, [](const Rider* one) { return one->arrived.has_value(); });
    // Who arrived is told at once: the leader may have to go round again, without them.
    for (Rider* one : train) {
      if (one == &rider || !one->arrived) continue;
      one->place = Rider::Place::kArrived;  // once the lock is free it may be gone
      one->woken.notify_one();
    }
    if (!rider.arrived) continue;
    if (queue.waiting.empty()) {
      queues_.erase(key);
    } else {
      queue.waiting.front()->place = Rider::Place::kLeads;
      queue.waiting.front()->woken.notify_one();
    }
    rider.place = Rider::Place::kArrived;
  }
  return std::move(*rider.arrived);
}

EngineImpl::Outcome EngineImpl::run_train(const Repository& repository, const std::string& branch,
                                          std::span<Rider* const> train) {
  const Context ctx = train.front()->ctx.detached();  // nobody's deadline is the others'
  const auto fail = [](std::span<Rider* const> riders, const Error& error) {
    for (Rider* rider : riders)
      if (!rider->arrived) rider->arrived = error;
    return Outcome{};
  };
  auto footing = find_footing(ctx, repository, branch, train.front()->takes_rows() ? Rows::kTaken : Rows::kForbidden);
  if (!footing) return fail(train, footing.error());
  const auto rules = read_protection(*footing->view, repository);
  if (!rules) return fail(train, rules.error());
  const bool guarded = protects(rules->rules, branch);

  std::vector<Rider*> chain;
  // What was answered on top of candidates holds only if they land: a "no changes" or a conflict with one that lost its
  // head is taken back, and its rider goes with the next train.
  struct Answers {
    std::vector<std::pair<Rider*, size_t>> on;  ///< and how many of the chain they stand on
    size_t landed = 0;
    ~Answers() {
      for (const auto& [rider, count] : on)
        if (count > landed) rider->arrived.reset();
    }
  } answers;
  // Merges come in storms: LZ4 takes half the time of zstd, and a sixth more bytes until they are folded.
  const auto builder = packs(repository)->begin(train.front()->takes_rows() ? tree::Codec::kZstd : tree::Codec::kLz4);
  for (Rider* rider : train) {
    rider->candidate.reset();
    if (guarded && rider->kind != LandingKind::kMerge) {
      rider->arrived =
          Error(Code::kForbidden, "branch",
                "branch '" + branch + "' is protected: it takes merges only, no " + std::string(name_of(rider->kind)));
      continue;
    }
    auto made = rider->ctx.check(clock_) ? rider->make(rider->ctx, *footing, *builder)
                                         : Result<PreparedMerge>(rider->ctx.check(clock_).error());
    if (!made && !chain.empty() && is_conflict_of_branch(made.error()))
      break;  // only on what has landed: it leads the next train
    if (!chain.empty() && (!made || !made->candidate)) answers.on.emplace_back(rider, chain.size());
    if (!made) {
      rider->arrived = made.error();
      if (made.error().code() == Code::kUnknownOutcome) return {};  // of a full pack: the others are made anew
    } else if (!made->conflicts.empty()) {
      rider->arrived = MergeResult{{}, std::move(made->conflicts)};
    } else if (!made->candidate) {
      rider->arrived = no_changes();
    } else {
      rider->candidate = std::move(made->candidate);
      footing->head = rider->candidate->commit;
      footing->committed_through = std::max(footing->committed_through, rider->candidate->committed_through);
      footing->brought.insert(footing->head.id);
      chain.push_back(rider);
      if (footing->last) break;
    }
  }
  footing->view.reset();
  if (chain.empty()) return {};
  if (const auto written = write_pack(ctx, repository, *builder); !written) return fail(chain, written.error());

  reach(Stage::kRunGate);
  Outcome outcome;
  if (LandingPolicy* policy = policy_.load()) {
    const auto concerned = policy->concerns(ctx, repository, branch);
    if (!concerned) return fail(chain, concerned.error());
    if (*concerned) {
      if (const auto done = publish_all(ctx, repository, branch, chain); !done) return fail(chain, done.error());
      const int64_t start = clock_.steady_ms();
      size_t approved = 0;
      while (approved < chain.size()) {
        if (approved > 0 && clock_.steady_ms() - start > kReviewsMs) {
          outcome.fitted = approved;
          break;
        }
        Rider& rider = *chain[approved];
        const auto reviewed = policy->review(rider.ctx, repository, *rider.candidate, nullptr);
        if (!reviewed) {
          rider.arrived = reviewed.error();
          break;
        }
        ++approved;
      }
      chain.resize(approved);  // what was built on a refused one is made again without it
      if (chain.empty()) return outcome;
    }
  }

  std::vector<const Candidate*> candidates;
  for (const Rider* rider : chain) candidates.push_back(&*rider->candidate);
  const auto moved = move_head(ctx, repository, {candidates, rules->version, nullptr});
  if (moved) {
    static base::Counter& trains = base::metrics().counter(kTrains);
    static base::Counter& landings = base::metrics().counter(kLanded);
    trains.add();
    landings.add(static_cast<int64_t>(chain.size()));
    answers.landed = chain.size();
    for (Rider* rider : chain) rider->arrived = MergeResult{std::move(rider->candidate->commit), {}};
    return outcome;
  }
  if (!is_conflict_of_branch(moved.error())) return fail(chain, moved.error());
  outcome.lost = true;
  return outcome;
}

// A reviewer may read the candidates of the whole train.
Result<void> EngineImpl::publish_all(const Context& ctx, const Repository& repository, const std::string& branch,
                                     std::span<Rider* const> chain) {
  kv::Batch batch;
  batch.require_present(keys::alive(repository.id));
  for (const Rider* rider : chain) {
    const Commit& commit = rider->candidate->commit;
    batch.put(keys::commit(repository.id, commit.id), encode_commit(commit, repository.id, branch));
  }
  const auto applied = kv_.apply(ctx, batch);
  if (applied) {
    for (const Rider* rider : chain) know(repository, rider->candidate->commit);
    return {};
  }
  if (applied.error().code() == Code::kConflict)
    return Error(Code::kNotFound, "repository", "repository '" + repository.name + "' does not exist");
  return applied.error();
}

// The operations that are make + land.

Result<Commit> EngineImpl::commit(const Context& ctx, const Repository& repository, std::string_view branch,
                                  const CommitSpec& spec) {
  Rider rider{ctx, LandingKind::kCommit, [&](const Context& own, Footing& footing, tree::PackBuilder& builder) {
                return make_of_rows(own, repository, spec, footing, builder);
              }};
  TRY_LET(MergeResult result, ride(repository, branch, rider));
  return std::move(*result.landed);
}

Result<Engine::MergeResult> EngineImpl::ride_with(const Context& ctx, const Repository& repository,
                                                  std::string_view branch, LandingKind kind, Result<Rider::Make> step) {
  if (!step) return step.error();
  Rider rider{ctx, kind, std::move(*step)};
  return ride(repository, branch, rider);
}

Result<Engine::MergeResult> EngineImpl::merge(const Context& ctx, const Repository& repository, std::string_view source,
                                              std::string_view destination, const MergeSpec& spec) {
  return ride_with(ctx, repository, destination, LandingKind::kMerge,
                   merge_step(ctx, repository, source, destination, spec));
}

// The ref is pinned first: "main" means what it is now, also when the head moves in between.
Result<Engine::MergeResult> EngineImpl::revert(const Context& ctx, const Repository& repository,
                                               std::string_view branch, std::string_view ref, int parent_number,
                                               const CommitSpec& spec) {
  return ride_with(ctx, repository, branch, LandingKind::kRevert,
                   revert_step(ctx, repository, ref, parent_number, spec));
}

Result<Engine::MergeResult> EngineImpl::cherry_pick(const Context& ctx, const Repository& repository,
                                                    std::string_view branch, std::string_view ref, int parent_number,
                                                    const CommitSpec& spec) {
  return ride_with(ctx, repository, branch, LandingKind::kCherryPick,
                   cherry_pick_step(ctx, repository, ref, parent_number, spec));
}

}  // namespace tarn::versioning::detail
