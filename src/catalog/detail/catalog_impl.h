#pragma once
// The one implementation of Catalog; each story of it lies in a file of its own.
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "block/foreign.h"
#include "catalog/catalog.h"
#include "catalog/detail/import_run.h"

namespace tarn::catalog {

class CatalogImpl final : public Catalog {
 public:
  CatalogImpl(kv::Store& kv, block::Store& blocks, base::Disk& disk, versioning::Engine& engine, tasks::Tasks& tasks,
              base::Clock& clock, base::Random& random, Options options);

  versioning::Engine& engine() override { return engine_; }

  // objects.cc
  Result<ObjectInfo> put_object(const Context&, std::string_view repository, std::string_view branch,
                                std::string_view path, block::ByteSource&, const PutOptions&) override;
  Result<ObjectInfo> stat_object(const Context&, std::string_view repository, std::string_view ref,
                                 std::string_view path) override;
  Result<OpenObject> open_object(const Context&, std::string_view repository, std::string_view ref,
                                 std::string_view path, const ByteRange&) override;
  Result<versioning::Page<versioning::Listed>> list_objects(const Context&, std::string_view repository,
                                                            std::string_view ref,
                                                            const versioning::ListQuery&) override;
  Result<void> delete_object(const Context&, std::string_view repository, std::string_view branch,
                             std::string_view path, const versioning::Expect&) override;
  Result<std::vector<Failed>> delete_objects(const Context&, std::string_view repository, std::string_view branch,
                                             const std::vector<std::string>& paths) override;
  Result<ObjectInfo> copy_object(const Context&, std::string_view source_repository, std::string_view source_ref,
                                 std::string_view source_path, std::string_view repository, std::string_view branch,
                                 std::string_view path, const PutOptions& options, bool replace_metadata) override;
  Result<ObjectInfo> set_user_metadata(const Context&, std::string_view repository, std::string_view branch,
                                       std::string_view path, const versioning::Metadata&) override;

  // bytes.cc
  Result<std::unique_ptr<block::ByteReader>> open_entry(const Context&, const versioning::Repository&,
                                                        const tree::Entry&, const ByteRange&) override;
  Result<std::string> read_entry(const Context&, const versioning::Repository&, const tree::Entry&) override;
  std::string physical_address(const versioning::Repository&, const tree::Entry&) override;
  tree::Entry link(const versioning::Repository& from, const versioning::Repository& to, const tree::Entry&) override;
  Result<tree::Entry> write_bytes(const Context&, const versioning::Repository&, std::string_view bytes,
                                  std::string content_type) override;
  Result<StoredBytes> stored_bytes(const Context&) override;

  // multipart.cc
  Result<MultipartUpload> create_upload(const Context&, std::string_view repository, std::string_view branch,
                                        std::string_view path, const PutOptions&) override;
  Result<Part> upload_part(const Context&, const std::string& upload_id, int number, block::ByteSource&,
                           const PutOptions& checks) override;
  Result<MultipartUpload> get_upload(const Context&, const std::string& upload_id) override;
  Result<std::vector<Part>> list_parts(const Context&, const std::string& upload_id) override;
  Result<std::vector<MultipartUpload>> list_uploads(const Context&, std::string_view repository) override;
  Result<ObjectInfo> complete_upload(const Context&, const std::string& upload_id, const std::vector<Part>& parts,
                                     const versioning::Expect&, const Seal& seal) override;
  Result<void> abort_upload(const Context&, const std::string& upload_id) override;

  // imports.cc
  Result<std::string> start_import(const Context&, std::string_view repository, std::string_view branch,
                                   const std::vector<ImportPath>&, const versioning::CommitSpec&) override;
  Result<ImportStatus> import_status(const Context&, std::string_view repository, const std::string& id) override;
  Result<void> cancel_import(const Context&, std::string_view repository, const std::string& id) override;
  Result<std::vector<tree::Edit>> list_import(const Context&, const ImportPath&) override;

 private:
  /// Stores bytes at a fresh own address. Errors: block::Store::put's, kInvalid (a checksum in `options` does not hold;
  /// nothing is left behind).
  Result<tree::Entry> store(const Context&, const versioning::Repository&, block::ByteSource&, const PutOptions&);
  Result<block::Name> own_name(const versioning::Repository&, uint64_t partition, uint64_t sequence) const;
  Result<std::unique_ptr<block::ByteReader>> open_address(const Context&, const versioning::Repository&,
                                                          const tree::Address&, uint64_t offset, uint64_t length);
  std::string address_text(const versioning::Repository&, const tree::Address&) const;
  tree::Address linked(const versioning::Repository& from, const tree::Address&, const std::string& pin) const;
  /// Takes back bytes that no entry names.
  void discard(const Context&, const versioning::Repository&, const tree::Entry&);
  ObjectInfo info(const versioning::Repository&, std::string path, tree::Entry entry);
  Result<tasks::Step> run_import(const Context&, const tasks::Task&);
  Result<tasks::Step> import_step(const Context&, const tasks::Task&, std::atomic<uint64_t>& listed);
  Result<detail::Run> list_run(const Context&, const std::string& folder, const std::string& file, size_t& spare,
                               std::atomic<uint64_t>& listed);
  /// Where an import keeps its runs (all imports: an empty id); empty when there is no place.
  std::string runs_folder(std::string_view task_id) const;
  void remove_runs(const Context&, std::string_view task_id);
  /// Of imports that were over when the server stopped.
  void remove_old_runs();
  Result<std::string> import_folder(const std::string& path) const;

  kv::Store& kv_;
  block::Store& blocks_;
  base::Disk& disk_;
  versioning::Engine& engine_;
  tasks::Tasks& tasks_;
  base::Clock& clock_;
  base::Random& random_;
  const Options options_;
  block::ForeignFiles foreign_;
  const uint64_t partition_;  ///< drawn at each start, never reused: no address is ever given twice
  std::atomic<uint64_t> sequence_{0};
  base::Mutex listing_mutex_;
  std::map<std::string, std::shared_ptr<std::atomic<uint64_t>>> listing_;  ///< files listed, by running import
};

}  // namespace tarn::catalog
