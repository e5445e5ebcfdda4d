#include "engine/history.h"

#include <sstream>

#include <fmt/core.h>

#include "base/disk.h"
#include "block/local.h"
#include "kv/rocks.h"
#include "tree/change_filter.h"
#include "versioning/journal.h"
#include "versioning/records.h"
#include "versioning/recovery.h"

namespace tarn::bench {
namespace {

constexpr uint64_t kPaths = 100;             // the commits change these in turn
constexpr uint64_t kCommitsPerPack = 5'000;  // as folding leaves them

std::string path_of(uint64_t i) {
  return fmt::format("tables/orders/day={:02}/part-{:05}.parquet", i % kPaths, i % kPaths);
}
/// Commit number i gives its path one of two contents, in turn: after 2 * kPaths commits the trees repeat.
tree::Entry content_of(uint64_t i) { return own_entry(i % kPaths, 1 + i / kPaths % 2); }

class Writer {
 public:
  Writer(Place& place, uint64_t commits) : place_(place), commits_(commits), packs_(place.packs(256 << 20)) {}

  void run() {
    const versioning::Commit origin = place_.at("main").commit;
    make_trees(origin.root);
    builder_ = packs_->begin();
    const versioning::Commit side = add(origin, "side", trees_[0], needle_change("side"), 0);
    versioning::Commit at = add(origin, "main", trees_[0], needle_change(kNeedle), 0);
    uint64_t next_mark = 10;
    for (uint64_t i = 1; i < commits_; ++i) {
      tree::Change change{path_of(i), tree::ChangeType::kChanged, content_of(i + kPaths), content_of(i)};
      at = add(at, "main", trees_[i % trees_.size()], change, i);
      if (i + 1 == next_mark || i + 1 == commits_) {
        marks_ += fmt::format("{} {}\n", i + 1, at.id.hex());
        next_mark *= 10;
      }
      if (i % kCommitsPerPack == 0) next_pack();
    }
    must(builder_->finish(place_.ctx));
    write_refs(at, side);
    must(base::system_disk().write_atomic(place_.folder + "/marks", marks_));
  }

 private:
  static tree::Change needle_change(const char* path) {
    return {path, tree::ChangeType::kAdded, std::nullopt, own_entry(7, 7)};
  }

  void make_trees(const tree::Root& origin) {
    const auto builder = packs_->begin();
    std::vector<tree::Edit> all = {{kNeedle, own_entry(7, 7)}};
    for (uint64_t p = 0; p < kPaths; ++p) all.push_back({path_of(p), content_of(p + kPaths)});
    tree::Root root = must(tree::apply(place_.ctx, packs_, origin, all, *builder));
    for (uint64_t i = 0; i < 2 * kPaths; ++i) {
      if (i > 0)
        root =
            must(tree::apply(place_.ctx, packs_, root, std::vector<tree::Edit>{{path_of(i), content_of(i)}}, *builder));
      trees_.push_back(root);
    }
    must(builder->finish(place_.ctx));
  }

  versioning::Commit add(const versioning::Commit& parent, const char* branch, const tree::Root& root,
                         const tree::Change& change, uint64_t number) {
    versioning::Commit commit;
    commit.parents = {parent.id};
    commit.committer = "bench";
    commit.message = fmt::format("change {}", number);
    commit.date_ms = 1'400'000'000'000 + static_cast<int64_t>(number) * 1'000;
    commit.root = root;
    commit.generation = parent.generation + 1;
    commit.pack = builder_->pack_id();
    commit.filter = tree::encode_change_filter(std::span(&change, 1), versioning::kFilterBesideMax);
    commit.id = versioning::commit_id(versioning::canonical_commit(commit, place_.repository.id, branch));
    commit.pack = builder_->pack_id();
    commit.filter = tree::encode_change_filter({&change, 1}, versioning::kFilterBesideMax);
    const std::string id(commit.id.digest().bytes());
    builder_->add_commit(id, versioning::encode_commit(commit, place_.repository.id, branch));
    builder_->add_change_set(id, std::span(&change, 1));
    return commit;
  }

  void next_pack() {
    must(builder_->finish(place_.ctx));
    builder_ = packs_->begin();
  }

  void write_refs(const versioning::Commit& main, const versioning::Commit& side) {
    namespace journal = versioning::journal;
    const std::string folder =
        journal::folder_of(versioning::block_prefix(place_.repository.storage_namespace), place_.repository.id);
    const auto numbers = must(journal::numbers_of(place_.ctx, *place_.blocks, folder));
    journal::Object object;
    object.repository_id = place_.repository.id;
    object.number = numbers.empty() ? 1 : numbers.back() + 1;
    for (const auto& [name, commit] :
         {std::pair<std::string, const versioning::Commit*>{"main", &main}, {"side", &side}}) {
      versioning::Branch branch = must(place_.engine->get_branch(place_.ctx, place_.repository, name));
      branch.head = commit->id;
      object.entries.push_back({journal::Entry::Kind::kBranch, name, journal::encode_branch_value(branch)});
    }
    must(place_.blocks->put(place_.ctx, must(journal::name_of(folder, object.number)), journal::encode(object)));
  }

  Place& place_;
  const uint64_t commits_;
  const std::shared_ptr<tree::Packs> packs_;
  std::unique_ptr<tree::PackBuilder> builder_;
  std::vector<tree::Root> trees_;
  std::string marks_;
};

}  // namespace

void prepare_history(const std::string& folder, uint64_t commits) {
  if (base::system_disk().stat(folder + "/ready")) return;
  const double written = seconds([&] {
    Place place(folder);
    place.branch("side");
    must(place.engine->flush_ref_journal(place.ctx));
    Writer(place, commits).run();
  });
  const double recovered = seconds([&] {
    must(base::system_disk().remove_all(folder + "/kv"));
    const auto kv = must(kv::open_rocks_store(folder + "/kv"));
    const auto blocks = must(block::open_local_store(base::system_disk(), folder + "/blocks"));
    const auto report = must(versioning::recover(Context(), *kv, *blocks, base::system_clock(), base::system_random()));
    if (!report.whole() || report.repositories.size() != 1 || report.repositories[0].commits < commits)
      give_up("the history did not come back whole");
  });
  must(base::system_disk().write_atomic(folder + "/ready", "1"));
  std::fprintf(stderr, "  a history of %s commits written in %.1f s, recovered in %.1f s\n", power(commits).c_str(),
               written, recovered);
}

std::vector<std::pair<uint64_t, versioning::CommitId>> history_marks(const std::string& folder) {
  std::istringstream text(must(base::system_disk().read_all(folder + "/marks")));
  std::vector<std::pair<uint64_t, versioning::CommitId>> marks;
  uint64_t height = 0;
  std::string hex;
  while (text >> height >> hex) {
    const auto id = versioning::CommitId::from_hex(hex);
    if (!id) give_up("the marks of the history are damaged");
    marks.emplace_back(height, *id);
  }
  return marks;
}

}  // namespace tarn::bench
