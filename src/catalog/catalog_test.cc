// Goal: objects, copies, uploads and imports keep their promises over a real engine, on memory stores.
#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include <fstream>

#include "versioning/testing/world.h"

namespace tarn::catalog {
namespace {

using versioning::Expect;
using versioning::testing::Backend;
using versioning::testing::must;
using versioning::testing::World;

class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() : world(Backend::kMemory), tasks(*world.kv, base::system_clock(), base::system_random(), 2) {
    Catalog::Options options;
    options.import_roots = {source.path()};
    options.data_folder = source.path("server");
    catalog = must(Catalog::open(*world.kv, *world.blocks, base::system_disk(), *world.engine, tasks, world.clock,
                                 world.random, options));
    repo = world.repository();
    must(tasks.start(ctx));
  }
  ~CatalogTest() override { tasks.stop(); }

  ObjectInfo put(const std::string& path, std::string_view bytes, PutOptions options = {}) {
    block::StringSource source_bytes(bytes);
    return must(catalog->put_object(ctx, "data", "main", path, source_bytes, options));
  }
  std::string read(block::ByteReader& reader) {
    std::string out(1 << 16, '\0');
    size_t filled = 0;
    while (const size_t got = must(reader.read(out.data() + filled, out.size() - filled))) {
      filled += got;
      out.resize(filled + (1 << 16));
    }
    out.resize(filled);
    return out;
  }
  std::string get(const std::string& path, ByteRange range = {}, std::string_view repository = "data") {
    return read(*must(catalog->open_object(ctx, repository, "main", path, range)).reader);
  }
  void file(const std::string& name, const std::string& bytes) {
    must(base::system_disk().make_directories(source.path(name).substr(0, source.path(name).rfind('/'))));
    std::ofstream(source.path(name), std::ios::trunc) << bytes;
  }
  ImportStatus import(const std::string& folder, const std::string& destination, const std::string& branch = "main") {
    const std::string id =
        must(catalog->start_import(ctx, "data", branch, {{ImportPath::Type::kPrefix, folder, destination}}, {}));
    (void)tasks.wait(ctx, "import-" + id, 10'000);
    return must(catalog->import_status(ctx, "data", id));
  }
  template <class T>
  static Code code(const Result<T>& result) {
    return result ? Code::kInternal : result.error().code();
  }

  base::testing::ScratchFolder source;
  World world;
  tasks::Tasks tasks;
  std::unique_ptr<Catalog> catalog;
  versioning::Repository repo;
  Context ctx;
};

TEST_F(CatalogTest, BytesComeBackWholeAndInRanges) {
  const ObjectInfo info = put("a", "0123456789");
  EXPECT_EQ(info.entry.etag.text(), base::to_hex(base::md5("0123456789")));
  EXPECT_TRUE(info.physical_address.starts_with("local://data/data/"));
  EXPECT_EQ(get("a"), "0123456789");
  EXPECT_EQ(get("a", {3, 4}), "3456");
  EXPECT_EQ(get("a", {8, {}}), "89");
  EXPECT_EQ(code(catalog->stat_object(ctx, "data", "main", "none")), Code::kNotFound);
  EXPECT_EQ(code(catalog->stat_object(ctx, "data", "none", "a")), Code::kNotFound);
}

TEST_F(CatalogTest, ARefusedWriteLeavesNoBytes) {
  const uint64_t before = must(world.blocks->stored_bytes(ctx));
  block::StringSource one("x"), two("x"), three("x");
  PutOptions wrong;
  wrong.md5 = std::string(16, '\0');
  EXPECT_EQ(code(catalog->put_object(ctx, "data", "main", "a", one, wrong)), Code::kInvalid);
  PutOptions verified;
  verified.verify = [] { return Result<void>(Error(Code::kInvalid, "signature", "no")); };
  EXPECT_EQ(code(catalog->put_object(ctx, "data", "main", "a", two, verified)), Code::kInvalid);
  must(world.engine->set_protection(ctx, repo, {{"main"}}));
  EXPECT_EQ(code(catalog->put_object(ctx, "data", "main", "a", three, {})), Code::kForbidden);
  EXPECT_EQ(must(world.blocks->stored_bytes(ctx)), before);
}

TEST_F(CatalogTest, ACopyNamesTheSameBytesAlsoInAnotherRepository) {
  world.repository("other");
  put("a", "content");
  const uint64_t before = must(catalog->stored_bytes(ctx)).objects;
  must(catalog->copy_object(ctx, "data", "main", "a", "other", "main", "b", {}, false));
  must(catalog->copy_object(ctx, "data", "main", "a", "data", "main", "c", {}, false));
  EXPECT_EQ(get("b", {}, "other"), "content");
  EXPECT_EQ(get("c"), "content");
  EXPECT_EQ(must(catalog->stored_bytes(ctx)).objects, before);
}

TEST_F(CatalogTest, AnUploadOfPartsIsOneObjectAndARepeatAnswersTheSame) {
  const MultipartUpload upload = must(catalog->create_upload(ctx, "data", "main", "big", {}));
  const std::string first(5 << 20, 'a'), second = "tail";
  block::StringSource one(first), two(second);
  const std::vector<Part> parts{must(catalog->upload_part(ctx, upload.id, 1, one, {})),
                                must(catalog->upload_part(ctx, upload.id, 2, two, {}))};
  EXPECT_EQ(code(catalog->complete_upload(ctx, upload.id, {parts[1], parts[0]}, {})), Code::kInvalid);
  const Expect absent{Expect::Kind::kAbsent, ""};
  const ObjectInfo done = must(catalog->complete_upload(ctx, upload.id, parts, absent));
  EXPECT_TRUE(done.entry.etag.text().ends_with("-2"));
  EXPECT_EQ(get("big", {(5 << 20) - 2, {}}), "aatail");
  EXPECT_EQ(must(catalog->complete_upload(ctx, upload.id, parts, absent)).entry, done.entry);
}

TEST_F(CatalogTest, AnAbortNeverTakesBytesThatAnEntryMayName) {
  const MultipartUpload upload = must(catalog->create_upload(ctx, "data", "main", "big", {}));
  block::StringSource one("part");
  const std::vector<Part> parts{must(catalog->upload_part(ctx, upload.id, 1, one, {}))};
  must(world.engine->set_protection(ctx, repo, {{"main"}}));
  EXPECT_EQ(code(catalog->complete_upload(ctx, upload.id, parts, {})), Code::kForbidden);
  must(world.engine->set_protection(ctx, repo, {}));
  const uint64_t before = must(world.blocks->stored_bytes(ctx));
  must(catalog->abort_upload(ctx, upload.id));
  EXPECT_EQ(must(world.blocks->stored_bytes(ctx)), before) << "a claimed upload keeps its bytes";

  const MultipartUpload other = must(catalog->create_upload(ctx, "data", "main", "big", {}));
  block::StringSource two("other");
  must(catalog->upload_part(ctx, other.id, 1, two, {}));
  must(catalog->abort_upload(ctx, other.id));
  EXPECT_EQ(must(world.blocks->stored_bytes(ctx)), before) << "an unclaimed one gives them back";
  EXPECT_EQ(code(catalog->get_upload(ctx, other.id)), Code::kNotFound);
}

TEST_F(CatalogTest, AnUploadDoesNotOutliveItsRepository) {
  const MultipartUpload upload = must(catalog->create_upload(ctx, "data", "main", "big", {}));
  block::StringSource one("part");
  const std::vector<Part> parts{must(catalog->upload_part(ctx, upload.id, 1, one, {}))};
  must(world.engine->delete_repository(ctx, "data"));
  world.repository();
  EXPECT_EQ(code(catalog->complete_upload(ctx, upload.id, parts, {})), Code::kNotFound);
}

TEST_F(CatalogTest, AnImportReplacesItsDestinationAndCopiesNothing) {
  put("in/old", "old");
  put("kept", "kept");
  world.commit(repo, "main");
  file("drop/a.csv", "one");
  file("drop/d/b.csv", "two");
  const uint64_t before = must(catalog->stored_bytes(ctx)).objects;
  const ImportStatus status = import(source.path("drop"), "in/");
  ASSERT_TRUE(status.completed) << status.error;
  EXPECT_EQ(status.ingested, 2u);
  ASSERT_TRUE(status.commit);
  const auto content = world.content(repo, "main");
  EXPECT_EQ(content.size(), 3u);
  EXPECT_TRUE(content.at("in/a.csv").starts_with("weak-"));
  EXPECT_EQ(get("in/d/b.csv"), "two");
  EXPECT_EQ(must(catalog->stored_bytes(ctx)).objects, before);

  file("drop/a.csv", "another content");
  EXPECT_EQ(code(catalog->open_object(ctx, "data", "main", "in/a.csv")), Code::kGone);
}

TEST_F(CatalogTest, ImportsStayBelowTheirRootsAndOutOfProtectedBranches) {
  file("drop/a.csv", "one");
  file("server/secret", "x");
  const auto start = [&](const std::string& folder) {
    return catalog->start_import(ctx, "data", "main", {{ImportPath::Type::kPrefix, folder, "in/"}}, {});
  };
  EXPECT_EQ(code(start(source.path("server"))), Code::kInvalid) << "the server's own folder";
  EXPECT_EQ(code(start(source.path())), Code::kInvalid) << "a folder above it";
  EXPECT_EQ(code(start("relative")), Code::kInvalid);
  EXPECT_EQ(code(start(source.path("drop/nowhere"))), Code::kInvalid);
  EXPECT_EQ(code(start(source.path("drop/../drop"))), Code::kInvalid);
  const auto outside = start("/etc");
  EXPECT_EQ(code(outside), Code::kForbidden) << "at once, not as a failed task";
  EXPECT_NE(outside.error().message().find(source.path()), std::string::npos) << outside.error().message();
  must(world.engine->set_protection(ctx, repo, {{"main"}}));
  const ImportStatus refused = import(source.path("drop"), "in/");
  EXPECT_FALSE(refused.completed);
  EXPECT_NE(refused.error.find("protected"), std::string::npos) << refused.error;
  EXPECT_EQ(world.content(repo, "main").size(), 0u);
}

}  // namespace
}  // namespace tarn::catalog
