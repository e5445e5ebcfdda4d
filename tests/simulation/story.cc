// The story of a seed: which clients there are, what they do, and what goes wrong meanwhile.
#include <fmt/core.h>

#include "story.h"

namespace tarn::simulation {
namespace {

struct Weighted {
  Op::Kind kind;
  int weight;
};

using K = Op::Kind;

const std::vector<Weighted> kObjects = {{K::kPut, 10},   {K::kPutIfAbsent, 6}, {K::kPutIfMatch, 6},
                                        {K::kRemove, 8}, {K::kGet, 12},        {K::kList, 3},
                                        {K::kCommit, 8}, {K::kFold, 1},        {K::kPutMany, 2}};
const std::vector<Weighted> kBranches = {
    {K::kPut, 8},    {K::kPutIfAbsent, 3},  {K::kPutIfMatch, 3}, {K::kPutMany, 3}, {K::kRemove, 4},    {K::kGet, 4},
    {K::kList, 4},   {K::kGetCommitted, 3}, {K::kReadHead, 3},   {K::kIsDirty, 2}, {K::kCommit, 9},    {K::kMerge, 6},
    {K::kRevert, 2}, {K::kCherryPick, 2},   {K::kImport, 3},     {K::kReset, 5},   {K::kHardReset, 2}, {K::kFold, 1}};
const std::vector<Weighted> kRefs = {
    {K::kPut, 6},          {K::kGet, 2},       {K::kList, 2},     {K::kGetCommitted, 2}, {K::kReadHead, 4},
    {K::kCommit, 6},       {K::kMerge, 2},     {K::kImport, 2},   {K::kHardReset, 4},    {K::kCreateBranch, 5},
    {K::kDeleteBranch, 5}, {K::kCreateTag, 4}, {K::kForceTag, 3}, {K::kDeleteTag, 3},    {K::kGetTag, 4},
    {K::kReset, 2},        {K::kFlush, 1}};
const std::vector<Weighted> kOrder = {{K::kPutOnce, 24}, {K::kCommit, 10}, {K::kReadHead, 6},
                                      {K::kMerge, 8},    {K::kFold, 1},    {K::kFlush, 1}};

K pick(const std::vector<Weighted>& from, base::SeededRandom& dice) {
  int sum = 0;
  for (const Weighted& w : from) sum += w.weight;
  int at = static_cast<int>(dice.u64() % static_cast<uint64_t>(sum));
  for (const Weighted& w : from)
    if ((at -= w.weight) < 0) return w.kind;
  return from[0].kind;
}

}  // namespace

const char* name_of(Op::Kind kind) {
  static constexpr const char* kNames[] = {
      "put",         "put-if-absent", "put-if-match", "put-many",   "put-once",      "remove",        "get",
      "list",        "get-committed", "read-head",    "is-dirty",   "commit",        "merge",         "revert",
      "cherry-pick", "import",        "reset",        "hard-reset", "create-branch", "delete-branch", "create-tag",
      "force-tag",   "delete-tag",    "get-tag",      "fold",       "flush"};
  return kNames[static_cast<size_t>(kind)];
}

Plan make_plan(uint64_t seed) {
  base::SeededRandom dice(seed * 2654435761 + 17);
  const auto roll = [&](uint64_t sides) { return static_cast<int>(dice.u64() % sides); };
  Plan plan;
  plan.profile = static_cast<Plan::Profile>(seed % 4);
  switch (roll(4)) {
    case 0:
      break;
    case 1:
      plan.faults = {0, 0, 100};
      break;
    case 2:
      plan.faults = {20, 60, 100};
      break;
    case 3:
      plan.faults = {60, 200, 0};
      break;
  }
  plan.crashes = roll(2) ? 0 : 1 + roll(3);
  plan.choice = static_cast<Simulation::Choice>(roll(3));
  plan.fold_from = roll(2) ? 0 : 3 + static_cast<size_t>(roll(8));
  plan.cache_bytes = roll(3) == 0 ? 0 : 1 << 20;
  plan.journal_ms = roll(3) == 0 ? 20 : 0;
  size_t operations = 0;
  const std::vector<Weighted>* weights = nullptr;
  std::vector<std::string> branches;
  switch (plan.profile) {
    case Plan::Profile::kObjects:
      plan.clients = 3 + roll(4);
      operations = 60 + static_cast<size_t>(roll(60));
      weights = &kObjects;
      branches = {"main"};
      break;
    case Plan::Profile::kBranches:
      plan.clients = 2 + roll(3);
      operations = 20 + static_cast<size_t>(roll(30));
      weights = &kBranches;
      branches = {"main", "main", "side"};
      break;
    case Plan::Profile::kRefs:
      plan.clients = 2 + roll(4);
      operations = 30 + static_cast<size_t>(roll(30));
      weights = &kRefs;
      branches = {"main", "temp", "temp", "temp"};
      break;
    case Plan::Profile::kOrder:
      plan.clients = 4 + roll(5);
      operations = 80 + static_cast<size_t>(roll(80));
      weights = &kOrder;
      branches = {"main", "side"};
      break;
  }
  for (size_t i = 0; i < operations; ++i) {
    Op op;
    op.kind = pick(*weights, dice);
    op.id = static_cast<int>(i);
    op.client = roll(static_cast<uint64_t>(plan.clients));
    op.key = static_cast<size_t>(roll(kSmallKeys));
    op.name = branches[dice.u64() % branches.size()];
    op.dice = dice.u64();
    if (op.kind >= K::kCreateTag && op.kind <= K::kGetTag) op.name = roll(2) ? "t0" : "t1";
    if (op.kind == K::kCreateBranch || op.kind == K::kDeleteBranch) op.name = "temp";
    if (op.kind == K::kMerge && plan.profile == Plan::Profile::kOrder && roll(4)) op.name = "calm";
    plan.ops.push_back(op);
  }
  return plan;
}

std::string to_text(const Record& r) {
  std::string out = fmt::format("{:>5} {:>5}  client {} op {:<3} {:<13} {}", r.invoked,
                                r.returned == base::testing::kNeverReturned ? "" : std::to_string(r.returned),
                                r.op.client, r.op.id, name_of(r.op.kind), r.op.name);
  using K2 = Op::Kind;
  if (r.op.kind <= K2::kGet) out += fmt::format(" {}", r.op.kind == K2::kPutOnce ? "" : kPaths[r.op.key]);
  if (r.op.kind <= K2::kPutOnce) out += fmt::format(" writes {}", r.op.id + 1);
  if (r.op.kind == K2::kPutIfMatch) out += fmt::format(" expects {}", r.expected);
  switch (r.outcome) {
    case Record::Outcome::kDone:
      out += " done";
      if (r.op.kind == K2::kGet) out += fmt::format(": {}", r.value);
      if (r.op.kind == K2::kIsDirty) out += r.value ? ": dirty" : ": clean";
      if (r.op.kind == K2::kList || r.op.kind == K2::kGetCommitted || r.op.kind == K2::kPutMany)
        out += fmt::format(": {} {} {} {}", r.map[0], r.map[1], r.map[2], r.map[3]);
      if (r.op.kind == K2::kReset) out += fmt::format(": keys {:04b}", r.value);
      break;
    case Record::Outcome::kRefused:
      out += fmt::format(" refused: {} {}: {}", base::name_of(r.code), r.subject, r.message.substr(0, 90));
      break;
    case Record::Outcome::kUnknown:
      out += fmt::format(" unknown: {}", r.message.substr(0, 70));
      break;
  }
  if (!r.commit.empty()) out += " " + r.commit.substr(0, 8);
  if (!r.source.empty()) out += " of " + r.source.substr(0, 8);
  return out;
}

}  // namespace tarn::simulation
