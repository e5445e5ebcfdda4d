#pragma once
// Objects over version control: what REST and S3 are made of. The only face upward of the rooms below.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/disk.h"
#include "block/store.h"
#include "tasks/tasks.h"
#include "tree/entry.h"
#include "versioning/engine.h"

namespace tarn::catalog {

struct ObjectInfo {
  std::string path;
  tree::Entry entry;
  std::string physical_address;  ///< "<storage namespace>/data/<partition>/<sequence>" or the foreign URI
};

struct PutOptions {
  std::string content_type;  ///< empty: application/octet-stream
  versioning::Metadata metadata;
  versioning::Expect expect;
  std::optional<std::string> md5;     ///< 16 raw bytes that the content must have. Errors: kInvalid "content-md5"
  std::optional<std::string> sha256;  ///< 32 raw bytes. Errors: kInvalid "sha256"
  /// Called with the stored size after the last byte and before the entry is staged; an error discards the object.
  std::function<Result<void>()> verify;
  std::vector<tree::TaggedField> tagged;
};

/// [offset, offset + length); resolved against the object's size.
struct ByteRange {
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

struct OpenObject {
  ObjectInfo info;
  std::unique_ptr<block::ByteReader> reader;
  uint64_t offset = 0, length = 0;
};

struct ImportPath {
  enum class Type { kPrefix, kObject } type;
  std::string path;         ///< "local:///abs/folder/" or "/abs/folder"; kObject: one file
  std::string destination;  ///< prefix or path in the repository
};

struct ImportStatus {
  std::string id;
  bool completed = false;
  base::WallMs updated_ms = 0;
  uint64_t ingested = 0;  ///< while it runs: files listed so far
  std::optional<versioning::Commit> commit;
  std::string error;
};

struct MultipartUpload {
  std::string id, repository, branch, path;
  base::WallMs created_ms = 0;
};

struct Part {
  int number = 0;
  std::string etag;  ///< hex MD5
  uint64_t size = 0;
  base::WallMs mtime_ms = 0;
};

class Catalog {
 public:
  struct Options {
    std::vector<std::string> import_roots;  ///< folders that imports may read; empty: none
    bool import_anywhere = false;           ///< loopback listener: any folder
    std::string data_folder;                ///< the server's own folder: never imported
  };
  static Result<std::unique_ptr<Catalog>> open(kv::Store& kv, block::Store& blocks, base::Disk& disk,
                                               versioning::Engine& engine, tasks::Tasks& tasks, base::Clock& clock,
                                               base::Random& random, Options options);
  virtual ~Catalog() = default;

  virtual versioning::Engine& engine() = 0;

  // Objects. Errors: kNotFound subject "repository" | "branch" | "ref" | "object"; kGone (foreign bytes changed since
  // they were linked, or missing); and those of Engine::stage.
  virtual Result<ObjectInfo> put_object(const Context&, std::string_view repository, std::string_view branch,
                                        std::string_view path, block::ByteSource&, const PutOptions&) = 0;
  virtual Result<ObjectInfo> stat_object(const Context&, std::string_view repository, std::string_view ref,
                                         std::string_view path) = 0;
  virtual Result<OpenObject> open_object(const Context&, std::string_view repository, std::string_view ref,
                                         std::string_view path, const ByteRange& = {}) = 0;
  /// The bytes behind an entry; for checks and exports inside the server.
  virtual Result<std::unique_ptr<block::ByteReader>> open_entry(const Context&, const versioning::Repository&,
                                                                const tree::Entry&, const ByteRange& = {}) = 0;
  virtual Result<std::string> read_entry(const Context&, const versioning::Repository&, const tree::Entry&) = 0;
  /// `ref` may be a branch (staged changes included), tag, commit or expression.
  virtual Result<versioning::Page<versioning::Listed>> list_objects(const Context&, std::string_view repository,
                                                                    std::string_view ref,
                                                                    const versioning::ListQuery&) = 0;
  virtual Result<void> delete_object(const Context&, std::string_view repository, std::string_view branch,
                                     std::string_view path, const versioning::Expect& = {}) = 0;
  struct Failed {
    std::string path;
    Error error;
  };
  /// All in one batch; gives what could not be deleted.
  virtual Result<std::vector<Failed>> delete_objects(const Context&, std::string_view repository,
                                                     std::string_view branch,
                                                     const std::vector<std::string>& paths) = 0;
  /// Zero-copy: the destination's entry names the source's bytes, also across repositories.
  /// @param options  replaces content type and metadata when `replace_metadata`.
  virtual Result<ObjectInfo> copy_object(const Context&, std::string_view source_repository,
                                         std::string_view source_ref, std::string_view source_path,
                                         std::string_view repository, std::string_view branch, std::string_view path,
                                         const PutOptions& options, bool replace_metadata) = 0;
  virtual Result<ObjectInfo> set_user_metadata(const Context&, std::string_view repository, std::string_view branch,
                                               std::string_view path, const versioning::Metadata&) = 0;
  virtual std::string physical_address(const versioning::Repository&, const tree::Entry&) = 0;
  /// An entry of another repository as this one must store it (own addresses become foreign ones). Errors: kInvalid.
  virtual tree::Entry link(const versioning::Repository& from, const versioning::Repository& to,
                           const tree::Entry&) = 0;
  /// Stores bytes below the repository's data prefix without staging them: for files that the server writes itself.
  virtual Result<tree::Entry> write_bytes(const Context&, const versioning::Repository&, std::string_view bytes,
                                          std::string content_type) = 0;

  // Multipart uploads. Errors: kNotFound subject "upload"; kInvalid subject "part" | "part_order" | "entity_too_small".
  virtual Result<MultipartUpload> create_upload(const Context&, std::string_view repository, std::string_view branch,
                                                std::string_view path, const PutOptions&) = 0;
  virtual Result<Part> upload_part(const Context&, const std::string& upload_id, int number, block::ByteSource&,
                                   const PutOptions& checks) = 0;
  virtual Result<MultipartUpload> get_upload(const Context&, const std::string& upload_id) = 0;
  virtual Result<std::vector<Part>> list_parts(const Context&, const std::string& upload_id) = 0;
  virtual Result<std::vector<MultipartUpload>> list_uploads(const Context&, std::string_view repository) = 0;
  /// The object is a manifest of its parts: no byte is copied. A repeat after success gives the same answer.
  /// @param seal  called with the whole object's entry before anything names it; may read it (open_entry) and add tags;
  ///              its error leaves the upload as it was.
  using Seal = std::function<Result<void>(const versioning::Repository&, tree::Entry&)>;
  virtual Result<ObjectInfo> complete_upload(const Context&, const std::string& upload_id,
                                             const std::vector<Part>& parts, const versioning::Expect&,
                                             const Seal& seal = {}) = 0;
  virtual Result<void> abort_upload(const Context&, const std::string& upload_id) = 0;

  // Imports: a durable task; listing only, no byte read. The ETag is of the weak kind (size, mtime in ns). Memory does
  // not grow with the files (one folder's names are held); a crash repeats neither the commit nor a finished listing; a
  // cancellation is heard within a second.
  virtual Result<std::string> start_import(const Context&, std::string_view repository, std::string_view branch,
                                           const std::vector<ImportPath>&, const versioning::CommitSpec&) = 0;
  virtual Result<ImportStatus> import_status(const Context&, std::string_view repository, const std::string& id) = 0;
  virtual Result<void> cancel_import(const Context&, std::string_view repository, const std::string& id) = 0;
  /// The listing of an import as edits, for callers that make their own commit.
  virtual Result<std::vector<tree::Edit>> list_import(const Context&, const ImportPath&) = 0;

  /// Bytes of stored objects and metadata, for reports.
  struct StoredBytes {
    uint64_t objects = 0, metadata = 0;
  };
  virtual Result<StoredBytes> stored_bytes(const Context&) = 0;
};

}  // namespace tarn::catalog
