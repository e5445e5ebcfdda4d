#include <algorithm>

#include <fmt/core.h>

#include "catalog/detail/catalog_impl.h"

namespace tarn::catalog {
namespace {

Error no_object(std::string_view path) {
  return Error(Code::kNotFound, "object", fmt::format("there is no object '{}'", path));
}

}  // namespace

ObjectInfo CatalogImpl::info(const versioning::Repository& repository, std::string path, tree::Entry entry) {
  ObjectInfo out;
  out.physical_address = physical_address(repository, entry);
  out.path = std::move(path);
  out.entry = std::move(entry);
  return out;
}

Result<ObjectInfo> CatalogImpl::put_object(const Context& ctx, std::string_view repository_name,
                                           std::string_view branch, std::string_view path, block::ByteSource& source,
                                           const PutOptions& options) {
  TRY(versioning::check_path(path));
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  TRY(engine_.get_branch(ctx, repository, branch));
  TRY_LET(const tree::Entry entry, store(ctx, repository, source, options));
  const auto staged = engine_.stage(ctx, repository, branch, path, entry, options.expect);
  if (!staged) {
    // Only a proven refusal frees the bytes: after an unknown outcome an entry may name them.
    if (staged.error().outcome() == base::Outcome::kNotApplied) discard(ctx, repository, entry);
    return staged.error();
  }
  return info(repository, std::string(path), entry);
}

Result<ObjectInfo> CatalogImpl::stat_object(const Context& ctx, std::string_view repository_name, std::string_view ref,
                                            std::string_view path) {
  TRY(versioning::check_path(path));
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  TRY_LET(const versioning::Resolved at, engine_.resolve(ctx, repository, ref));
  TRY_LET(auto entry, engine_.find(ctx, repository, at, path));
  if (!entry) return no_object(path);
  return info(repository, std::string(path), std::move(*entry));
}

Result<OpenObject> CatalogImpl::open_object(const Context& ctx, std::string_view repository_name, std::string_view ref,
                                            std::string_view path, const ByteRange& range) {
  TRY(versioning::check_path(path));
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  TRY_LET(const versioning::Resolved at, engine_.resolve(ctx, repository, ref));
  TRY_LET(auto entry, engine_.find(ctx, repository, at, path));
  if (!entry) return no_object(path);
  OpenObject open;
  TRY_LET(open.reader, open_entry(ctx, repository, *entry, range));
  open.offset = range.offset;
  open.length = std::min(range.length.value_or(entry->size), entry->size - range.offset);
  open.info = info(repository, std::string(path), std::move(*entry));
  return open;
}

Result<versioning::Page<versioning::Listed>> CatalogImpl::list_objects(const Context& ctx,
                                                                       std::string_view repository_name,
                                                                       std::string_view ref,
                                                                       const versioning::ListQuery& query) {
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  TRY_LET(const versioning::Resolved at, engine_.resolve(ctx, repository, ref));
  return engine_.list(ctx, repository, at, query);
}

Result<void> CatalogImpl::delete_object(const Context& ctx, std::string_view repository_name, std::string_view branch,
                                        std::string_view path, const versioning::Expect& expect) {
  TRY(versioning::check_path(path));
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  return engine_.stage_removal(ctx, repository, branch, path, expect);
}

Result<std::vector<Catalog::Failed>> CatalogImpl::delete_objects(const Context& ctx, std::string_view repository_name,
                                                                 std::string_view branch,
                                                                 const std::vector<std::string>& paths) {
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  TRY(engine_.get_branch(ctx, repository, branch));
  std::vector<Failed> failed;
  std::vector<tree::Edit> edits;
  for (const std::string& path : paths) {
    if (auto fine = versioning::check_path(path); !fine)
      failed.push_back({path, std::move(fine).error()});
    else
      edits.push_back({path, std::nullopt});
  }
  std::sort(edits.begin(), edits.end(), [](const tree::Edit& a, const tree::Edit& b) { return a.key < b.key; });
  edits.erase(
      std::unique(edits.begin(), edits.end(), [](const tree::Edit& a, const tree::Edit& b) { return a.key == b.key; }),
      edits.end());
  if (edits.empty()) return failed;
  const auto staged = engine_.stage_many(ctx, repository, branch, edits);
  if (!staged && staged.error().code() == Code::kForbidden) {
    for (const tree::Edit& edit : edits) failed.push_back({edit.key, staged.error()});
    return failed;
  }
  if (!staged) return staged.error();
  return failed;
}

Result<ObjectInfo> CatalogImpl::copy_object(const Context& ctx, std::string_view source_repository,
                                            std::string_view source_ref, std::string_view source_path,
                                            std::string_view repository_name, std::string_view branch,
                                            std::string_view path, const PutOptions& options, bool replace_metadata) {
  TRY(versioning::check_path(source_path));
  TRY(versioning::check_path(path));
  TRY_LET(const versioning::Repository from, engine_.get_repository(ctx, source_repository));
  TRY_LET(const versioning::Resolved at, engine_.resolve(ctx, from, source_ref));
  TRY_LET(const auto source, engine_.find(ctx, from, at, source_path));
  if (!source) return no_object(source_path);
  TRY_LET(const versioning::Repository to, engine_.get_repository(ctx, repository_name));
  tree::Entry entry = link(from, to, *source);
  entry.mtime_ms = clock_.wall_ms();
  if (replace_metadata) {
    entry.metadata = options.metadata;
    entry.content_type = options.content_type.empty() ? "application/octet-stream" : options.content_type;
    entry.tagged = options.tagged;
  }
  TRY(engine_.stage(ctx, to, branch, path, entry, options.expect));
  return info(to, std::string(path), std::move(entry));
}

Result<ObjectInfo> CatalogImpl::set_user_metadata(const Context& ctx, std::string_view repository_name,
                                                  std::string_view branch, std::string_view path,
                                                  const versioning::Metadata& metadata) {
  TRY_LET(const ObjectInfo now, stat_object(ctx, repository_name, branch, path));
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  tree::Entry entry = now.entry;
  entry.metadata = metadata;
  versioning::Expect expect;
  expect.kind = versioning::Expect::Kind::kEtag;
  expect.etag = now.entry.etag.text();
  TRY(engine_.stage(ctx, repository, branch, path, entry, expect));
  return info(repository, std::string(path), std::move(entry));
}

}  // namespace tarn::catalog
