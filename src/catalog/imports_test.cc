// Goal: imports are one commit whatever happens on the way, hold nothing that grows with the files, and leave no
// scratch.
#include <gtest/gtest.h>

#include <fstream>

#include "base/testing/victim.h"
#include "catalog/catalog.h"
#include "catalog/detail/import_run.h"
#include "versioning/testing/world.h"

namespace tarn::catalog {
namespace {

using base::testing::kKilled;
using base::testing::run_victim;
using base::testing::ScratchFolder;
using versioning::testing::Backend;
using versioning::testing::must;
using versioning::testing::World;

void write_file(const std::string& path, std::string_view bytes) {
  must(base::system_disk().make_directories(path.substr(0, path.rfind('/'))));
  std::ofstream(path, std::ios::trunc) << bytes;
}

TEST(ImportRun, GivesBackWhatWasWrittenInMemoryAndOnDisk) {
  ScratchFolder folder;
  for (const size_t count : {size_t{0}, size_t{1}, size_t{1000}, size_t{200'000}}) {
    for (const std::string& file : {std::string(), folder.path("runs/run-0")}) {
      detail::RunWriter writer(base::system_disk(), file, 1 << 20);
      const auto path_of = [](size_t i) {
        return "d" + std::to_string(1'000'000 + i / 7) + "/file-" + std::to_string(i);
      };
      std::vector<std::string> paths;
      for (size_t i = 0; i < count; ++i) paths.push_back(path_of(i));
      std::sort(paths.begin(), paths.end());
      for (size_t i = 0; i < count; ++i) must(writer.add({paths[i], i, static_cast<int64_t>(i) - 5}));
      const detail::Run run = must(writer.finish());
      EXPECT_EQ(run.count, count);
      EXPECT_EQ(run.bytes == nullptr, count == 200'000 && !file.empty()) << "short runs never come to the disk";
      const auto reader = must(detail::RunReader::open(base::system_disk(), run));
      detail::Listed listed;
      for (size_t i = 0; i < count; ++i) {
        ASSERT_TRUE(must(reader->next(listed)));
        ASSERT_EQ(listed.path, paths[i]);
        ASSERT_EQ(listed.size, i);
        ASSERT_EQ(listed.mtime_ns, static_cast<int64_t>(i) - 5);
      }
      EXPECT_FALSE(must(reader->next(listed)));
    }
  }
}

TEST(ImportRun, DamageIsSeen) {
  detail::RunWriter writer(base::system_disk(), "", 0);
  for (int i = 0; i < 20'000; ++i) must(writer.add({"f" + std::to_string(100'000 + i), 1, 1}));
  const detail::Run run = must(writer.finish());
  for (size_t bit = 3; bit < run.bytes->size() * 8; bit += run.bytes->size() / 3) {
    std::string bytes = *run.bytes;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    detail::Run damaged{run.count, std::make_shared<const std::string>(bytes), ""};
    auto reader = detail::RunReader::open(base::system_disk(), damaged);
    Result<bool> more = reader ? Result<bool>(true) : Result<bool>(reader.error());
    detail::Listed listed;
    while (more && *more) more = (*reader)->next(listed);
    ASSERT_FALSE(more) << bit;
    EXPECT_EQ(more.error().code(), Code::kCorrupt);
  }
  for (const size_t size : {size_t{0}, size_t{20}, run.bytes->size() / 2, run.bytes->size() - 1})
    EXPECT_FALSE(detail::RunReader::open(
        base::system_disk(), {run.count, std::make_shared<const std::string>(run.bytes->substr(0, size)), ""}));
}

/// A catalog over stores in `home`, as a server that starts again opens them.
struct Server {
  explicit Server(const std::string& home, const std::string& source)
      : kv(must(kv::open_rocks_store(home + "/kv"))),
        blocks(must(block::open_local_store(base::system_disk(), home + "/objects"))),
        engine(must(versioning::Engine::open(*kv, *blocks, base::system_clock(), base::system_random(), {}))),
        tasks(*kv, base::system_clock(), base::system_random(), 2),
        catalog(must(Catalog::open(*kv, *blocks, base::system_disk(), *engine, tasks, base::system_clock(),
                                   base::system_random(), {.import_roots = {source}, .data_folder = home}))) {
    must(tasks.start({}));
  }
  ~Server() { tasks.stop(); }
  /// "data", with a commit of these paths.
  versioning::Repository make_repository(std::initializer_list<const char*> paths) {
    versioning::RepositoryCreation creation;
    creation.name = "data";
    creation.storage_namespace = "local://data";
    const auto repository = must(engine->create_repository({}, creation));
    for (const char* path : paths)
      must(engine->stage({}, repository, "main", path, versioning::testing::entry_of(path)));
    must(engine->commit({}, repository, "main", {.message = "before"}));
    return repository;
  }
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<block::Store> blocks;
  std::unique_ptr<versioning::Engine> engine;
  tasks::Tasks tasks;
  std::unique_ptr<Catalog> catalog;
};

bool is_empty(const std::string& folder) {
  const auto names = base::system_disk().list(folder);
  return names ? names->empty() : names.error().code() == Code::kNotFound;
}

constexpr size_t kFiles = 9'000;  // more than a run keeps in memory

std::string start(Server& server, const std::string& source) {
  return must(server.catalog->start_import(
      {}, "data", "main",
      {{ImportPath::Type::kPrefix, source + "/a", "in/"}, {ImportPath::Type::kObject, source + "/one", "single"}}, {}));
}

TEST(ImportVictim, DISABLED_Imports) {
  const std::string home = std::getenv("TARN_TEST_HOME"), source = std::getenv("TARN_TEST_SOURCE");
  Server server(home, source);
  (void)must(server.tasks.wait({}, "import-" + start(server, source), 60'000));
}

// Goal: a process that dies at any stage of an import is followed by one that ends it: one commit, no scratch, and a
// listing that was finished is not made again. Method: kill points; after the listing the folder is changed, so that a
// second listing would show.
TEST(Import, GoesOnAfterADeathAtEveryStage) {
  ScratchFolder files;
  const std::string source = files.path("source");
  for (size_t i = 0; i < kFiles; ++i)
    write_file(source + "/a/d" + std::to_string(i % 40) + "/" + base::sha256_hex(std::to_string(i)) +
                   base::sha256_hex(std::to_string(i + 1)),
               "x");
  write_file(source + "/one", "one");
  for (const auto& [point, listed_before] : std::map<std::string, bool>{{"catalog.import.listed", true},
                                                                        {"tree.pack.before_write", true},
                                                                        {"catalog.import.before_land", true},
                                                                        {"catalog.import.after_land", true},
                                                                        {"tasks.before_step", false}}) {
    SCOPED_TRACE(point);
    ScratchFolder home;
    must(base::system_disk().make_directories(home.path("objects")));
    {
      Server server(home.path(), source);
      (void)server.make_repository({"in/old", "in/d7/", "kept"});
    }
    ASSERT_EQ(run_victim("ImportVictim.DISABLED_Imports", point,
                         {{"TARN_TEST_HOME", home.path()}, {"TARN_TEST_SOURCE", source}}),
              kKilled);
    const std::string late = source + "/a/d0/appeared-later";
    write_file(late, "late");
    Server server(home.path(), source);
    const auto imports = must(server.tasks.list({}, "import"));
    ASSERT_EQ(imports.size(), 1u);
    const auto task = must(server.tasks.wait({}, imports[0].id, 60'000));
    EXPECT_EQ(task.state, tasks::State::kDone) << task.error;
    const auto repository = must(server.engine->get_repository({}, "data"));
    const auto log = must(server.engine->log({}, repository, "main", {}));
    ASSERT_EQ(log.items.size(), 3u) << "one commit";
    const size_t count = kFiles + 2 + (listed_before ? 0 : 1);
    EXPECT_EQ(must(server.engine->totals({}, repository, log.items[0], "")).count, count);
    EXPECT_EQ(must(server.engine->totals({}, repository, log.items[0], "in/")).count, count - 2);
    EXPECT_EQ(must(server.catalog->import_status({}, "data", imports[0].id.substr(7))).ingested, count - 1);
    EXPECT_TRUE(is_empty(home.path("imports")));
    must(base::system_disk().remove(late));
  }
}

TEST(Import, PathsThatMeetAreDecidedByTheLaterOne) {
  ScratchFolder files, home;
  const std::string source = files.path("source");
  for (const char* name : {"a/x", "a/sub/y", "a/z", "b/y", "b/w"}) write_file(source + "/" + name, name);
  write_file(source + "/single", "a single file");
  must(base::system_disk().make_directories(home.path("objects")));
  Server server(home.path(), source);
  const auto repository = server.make_repository({"in/old", "in/sub/old", "in-beside", "zz"});
  const std::string id = must(server.catalog->start_import({}, "data", "main",
                                                           {{ImportPath::Type::kObject, source + "/single", "in/x"},
                                                            {ImportPath::Type::kPrefix, source + "/a", "in/"},
                                                            {ImportPath::Type::kPrefix, source + "/b", "in/sub/"},
                                                            {ImportPath::Type::kObject, source + "/single", "in/z"},
                                                            {ImportPath::Type::kObject, source + "/single", "alone"}},
                                                           {}));
  (void)must(server.tasks.wait({}, "import-" + id, 10'000));
  const ImportStatus status = must(server.catalog->import_status({}, "data", id));
  ASSERT_TRUE(status.completed) << status.error;
  EXPECT_EQ(status.ingested, 5u);
  std::map<std::string, std::string> found;
  must(server.engine->walk({}, repository, *status.commit, "", [&](const std::string& key, const tree::Entry& entry) {
    found[key] = entry.address.uri;
    return base::ok();
  }));
  const std::string root = "local://" + source;
  const std::map<std::string, std::string> want = {{"alone", root + "/single"},
                                                   {"in-beside", ""},
                                                   {"in/sub/w", root + "/b/w"},
                                                   {"in/sub/y", root + "/b/y"},
                                                   {"in/x", root + "/a/x"},
                                                   {"in/z", root + "/single"},
                                                   {"zz", ""}};
  EXPECT_EQ(found, want);
}

// Goal: a cancellation is heard while the listing runs, and the count is seen meanwhile.
TEST(Import, IsCancelledWhileItLists) {
  ScratchFolder files, home;
  const std::string source = files.path("source");
  for (size_t i = 0; i < kFiles; ++i)
    write_file(source + "/a/d" + std::to_string(i % 40) + "/" + std::to_string(i), "");
  write_file(source + "/one", "one");
  must(base::system_disk().make_directories(home.path("objects")));
  Server server(home.path(), source);
  versioning::RepositoryCreation creation;
  creation.name = "data";
  creation.storage_namespace = "local://data";
  must(server.engine->create_repository({}, creation));
  // Many paths over the same files take long enough.
  const std::string id = must(server.catalog->start_import(
      {}, "data", "main", std::vector<ImportPath>(3000, {ImportPath::Type::kPrefix, source + "/a", "in/"}), {}));
  uint64_t seen = 0;
  for (int i = 0; i < 1000 && seen == 0; ++i) {
    base::system_clock().sleep_ms(10);
    seen = must(server.catalog->import_status({}, "data", id)).ingested;
  }
  EXPECT_GT(seen, 0u);
  must(server.catalog->cancel_import({}, "data", id));
  const auto from = base::system_clock().steady_ms();
  const auto task = must(server.tasks.wait({}, "import-" + id, 30'000));
  EXPECT_LT(base::system_clock().steady_ms() - from, 2'000) << "a second, and room for a busy machine";
  const ImportStatus status = must(server.catalog->import_status({}, "data", id));
  EXPECT_FALSE(status.completed);
  EXPECT_EQ(status.error, "Canceled");
  EXPECT_TRUE(is_empty(home.path("imports")));
}

}  // namespace
}  // namespace tarn::catalog
