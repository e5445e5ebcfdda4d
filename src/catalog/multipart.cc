#include <fmt/core.h>

#include "base/bytes.h"
#include "catalog/detail/catalog_impl.h"
#include "kv/record.h"

namespace tarn::catalog {
namespace {

constexpr uint64_t kPartSizeMin = 5 << 20;
constexpr int kPartNumberMax = 10'000;

std::string upload_key(const std::string& id) { return "catalog/upload/" + id; }
std::string parts_key(const std::string& id) { return "catalog/part/" + id + "/"; }
std::string part_key(const std::string& id, int number) { return fmt::format("{}{:05}", parts_key(id), number); }

Json tagged_json(const std::vector<tree::TaggedField>& fields) {
  Json list = Json::array();
  for (const auto& f : fields) list.push(Json::array({f.tag, base::to_base64(f.value)}));
  return list;
}

struct Upload {
  MultipartUpload about;
  Json json;
  kv::Sequence version = 0;
};

Result<Upload> load(const Context& ctx, kv::Store& kv, const std::string& id) {
  const auto none = [&] {
    return Error(Code::kNotFound, "upload", fmt::format("there is no multipart upload '{}'", id));
  };
  if (id.empty() || id.find('/') != std::string::npos) return none();
  TRY_LET(const auto row, kv.get(ctx, upload_key(id)));
  if (!row) return none();
  Upload u;
  TRY_LET(u.json, kv::decode_record(row->value, "upload"));
  u.version = row->version;
  u.about = {id, u.json["repository"].as_string(), u.json["branch"].as_string(), u.json["path"].as_string(),
             u.json["created_ms"].as_int()};
  return u;
}

/// The repository that the upload was begun in. Errors: kNotFound "upload" when another one has its name now.
Result<versioning::Repository> repository_of(const Context& ctx, versioning::Engine& engine, const Upload& upload) {
  TRY_LET(versioning::Repository repository, engine.get_repository(ctx, upload.about.repository));
  if (repository.id != upload.json["repository_id"].as_string())
    return Error(Code::kNotFound, "upload", "the repository of this upload was deleted");
  return repository;
}

struct StoredPart {
  Part part;
  uint64_t partition = 0, sequence = 0;
};

Result<std::vector<StoredPart>> load_parts(const Context& ctx, kv::Store& kv, const std::string& id) {
  std::vector<StoredPart> parts;
  const auto rows = kv.scan(ctx, parts_key(id));
  while (true) {
    TRY_LET(const auto row, rows->next());
    if (!row) return parts;
    TRY_LET(const Json j, kv::decode_record(row->row.value, "part"));
    StoredPart p;
    p.part = {static_cast<int>(j["number"].as_int()), j["etag"].as_string(), static_cast<uint64_t>(j["size"].as_int()),
              j["mtime_ms"].as_int()};
    p.partition = static_cast<uint64_t>(j["partition"].as_int());
    p.sequence = static_cast<uint64_t>(j["sequence"].as_int());
    parts.push_back(std::move(p));
  }
}

}  // namespace

Result<MultipartUpload> CatalogImpl::create_upload(const Context& ctx, std::string_view repository_name,
                                                   std::string_view branch, std::string_view path,
                                                   const PutOptions& options) {
  TRY(versioning::check_path(path));
  TRY_LET(const versioning::Repository repository, engine_.get_repository(ctx, repository_name));
  TRY(engine_.get_branch(ctx, repository, branch));
  const std::string id = random_.hex(16);
  const base::WallMs now = clock_.wall_ms();
  kv::Batch batch;
  batch.require_absent(upload_key(id));
  batch.put(upload_key(id), kv::encode_record(Json::object({{"repository", repository.name},
                                                            {"repository_id", repository.id},
                                                            {"branch", branch},
                                                            {"path", path},
                                                            {"created_ms", now},
                                                            {"content_type", options.content_type},
                                                            {"metadata", base::to_json(options.metadata)},
                                                            {"tagged", tagged_json(options.tagged)}})));
  TRY(kv_.apply(ctx, batch));
  return MultipartUpload{id, repository.name, std::string(branch), std::string(path), now};
}

Result<Part> CatalogImpl::upload_part(const Context& ctx, const std::string& upload_id, int number,
                                      block::ByteSource& source, const PutOptions& checks) {
  if (number < 1 || number > kPartNumberMax)
    return Error(Code::kInvalid, "part", fmt::format("part number {} is not within 1 to {}", number, kPartNumberMax));
  TRY_LET(const Upload upload, load(ctx, kv_, upload_id));
  if (upload.json.has("completed")) return Error(Code::kNotFound, "upload", "the upload is complete already");
  TRY_LET(const versioning::Repository repository, repository_of(ctx, engine_, upload));
  TRY_LET(const tree::Entry entry, store(ctx, repository, source, checks));
  const Part part{number, base::to_hex(entry.etag.bytes), entry.size, entry.mtime_ms};
  const std::string key = part_key(upload_id, number);
  kv::Batch batch;
  batch.require_present(upload_key(upload_id));
  batch.put(key, kv::encode_record(Json::object({{"number", number},
                                                 {"etag", part.etag},
                                                 {"size", part.size},
                                                 {"mtime_ms", part.mtime_ms},
                                                 {"partition", static_cast<int64_t>(entry.address.partition)},
                                                 {"sequence", static_cast<int64_t>(entry.address.sequence)}})));
  const auto applied = kv_.apply(ctx, batch);
  if (!applied) {
    if (applied.error().outcome() == base::Outcome::kNotApplied) discard(ctx, repository, entry);
    if (applied.error().code() == Code::kConflict)
      return Error(Code::kNotFound, "upload", "the upload was ended meanwhile");
    return applied.error();
  }
  return part;
}

Result<MultipartUpload> CatalogImpl::get_upload(const Context& ctx, const std::string& upload_id) {
  TRY_LET(const Upload upload, load(ctx, kv_, upload_id));
  return upload.about;
}

Result<std::vector<Part>> CatalogImpl::list_parts(const Context& ctx, const std::string& upload_id) {
  TRY_LET(const Upload upload, load(ctx, kv_, upload_id));
  if (upload.json.has("completed")) return Error(Code::kNotFound, "upload", "the upload is complete already");
  TRY_LET(const auto stored, load_parts(ctx, kv_, upload_id));
  std::vector<Part> parts;
  for (const StoredPart& p : stored) parts.push_back(p.part);
  return parts;
}

Result<std::vector<MultipartUpload>> CatalogImpl::list_uploads(const Context& ctx, std::string_view repository) {
  std::vector<MultipartUpload> uploads;
  const std::string prefix = upload_key("");
  const auto rows = kv_.scan(ctx, prefix);
  while (true) {
    TRY_LET(const auto row, rows->next());
    if (!row) return uploads;
    TRY_LET(const Json j, kv::decode_record(row->row.value, "upload"));
    if (j["repository"].as_string() != repository || j.has("completed")) continue;
    uploads.push_back({row->key.substr(prefix.size()), j["repository"].as_string(), j["branch"].as_string(),
                       j["path"].as_string(), j["created_ms"].as_int()});
  }
}

Result<ObjectInfo> CatalogImpl::complete_upload(const Context& ctx, const std::string& upload_id,
                                                const std::vector<Part>& parts, const versioning::Expect& expect,
                                                const Seal& seal) {
  TRY_LET(const Upload upload, load(ctx, kv_, upload_id));
  TRY_LET(const versioning::Repository repository, repository_of(ctx, engine_, upload));
  if (upload.json.has("completed")) {
    const auto bytes = base::from_base64(upload.json["completed"].as_string());
    if (!bytes) return Error(Code::kCorrupt, "upload", "the upload's record is damaged");
    TRY_LET(tree::Entry entry, tree::decode_entry(*bytes));
    return info(repository, upload.about.path, std::move(entry));
  }
  if (parts.empty()) return Error(Code::kInvalid, "part", "at least one part is needed");
  TRY_LET(const auto stored, load_parts(ctx, kv_, upload_id));
  tree::Entry entry;
  entry.address.kind = tree::AddressKind::kManifest;
  std::string digests;
  int last = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].number <= last)
      return Error(Code::kInvalid, "part_order", "the parts must be listed in ascending order, each once");
    last = parts[i].number;
    const auto found = std::find_if(stored.begin(), stored.end(),
                                    [&](const StoredPart& p) { return p.part.number == parts[i].number; });
    if (found == stored.end() || found->part.etag != parts[i].etag)
      return Error(Code::kInvalid, "part",
                   fmt::format("part {} was not uploaded with ETag {}", parts[i].number, parts[i].etag));
    if (i + 1 < parts.size() && found->part.size < kPartSizeMin)
      return Error(
          Code::kInvalid, "entity_too_small",
          fmt::format("part {} has {} bytes; every part but the last needs 5 MiB", parts[i].number, found->part.size));
    tree::Address address;
    address.partition = found->partition;
    address.sequence = found->sequence;
    entry.address.parts.push_back(address);
    entry.address.part_sizes.push_back(found->part.size);
    entry.size += found->part.size;
    digests += base::from_hex(found->part.etag).value_or("");
  }
  if (entry.address.parts.size() == 1) {
    const tree::Address only = entry.address.parts.front();
    entry.address = only;
  }
  entry.etag = {tree::EtagKind::kMd5Parts, base::md5(digests), static_cast<uint32_t>(parts.size())};
  entry.mtime_ms = clock_.wall_ms();
  entry.content_type = upload.json["content_type"].as_string().empty() ? "application/octet-stream"
                                                                       : upload.json["content_type"].as_string();
  TRY_LET(entry.metadata, upload.json.string_map("metadata"));
  for (const Json& field : upload.json["tagged"].items())
    entry.tagged.push_back({static_cast<uint32_t>(field.items()[0].as_int()),
                            base::from_base64(field.items()[1].as_string()).value_or("")});
  if (seal) TRY(seal(repository, entry));

  // The claim comes first and stays: from here on an entry may name the parts, so an abort must keep their bytes. A
  // repeat takes the claimed entry over, and finds out below whether it was staged before.
  Json claimed = upload.json;
  bool repeated = false;
  if (claimed.has("claimed")) {
    const auto bytes = base::from_base64(claimed["claimed"].as_string());
    if (!bytes) return Error(Code::kCorrupt, "upload", "the upload's record is damaged");
    TRY_LET(tree::Entry earlier, tree::decode_entry(*bytes));
    repeated = earlier.address == entry.address;
    if (repeated) entry = std::move(earlier);
  }
  kv::Sequence version = upload.version;
  if (!repeated) {
    claimed.set("claimed", base::to_base64(tree::encode_entry(entry)));
    kv::Batch claim;
    claim.require_version(upload_key(upload_id), upload.version).put(upload_key(upload_id), kv::encode_record(claimed));
    const auto applied = kv_.apply(ctx, claim);
    if (!applied && applied.error().code() == Code::kConflict)
      return Error(Code::kBusy, "upload", "the upload is being completed or aborted by another request: try again");
    if (!applied) return applied.error();
    version = *applied;
  }
  if (const auto staged = engine_.stage(ctx, repository, upload.about.branch, upload.about.path, entry, expect);
      !staged) {
    if (!repeated || staged.error().subject() != "precondition") return staged.error();
    TRY_LET(const versioning::Resolved at, engine_.resolve(ctx, repository, upload.about.branch));
    TRY_LET(const auto present, engine_.find(ctx, repository, at, upload.about.path));
    if (!present || present->address != entry.address) return staged.error();
  }

  kv::Batch batch;
  batch.require_version(upload_key(upload_id), version);
  batch.put(upload_key(upload_id), kv::encode_record(Json(claimed)
                                                         .set("completed", base::to_base64(tree::encode_entry(entry)))
                                                         .set("completed_ms", clock_.wall_ms())));
  batch.erase_range(parts_key(upload_id), kv::prefix_end(parts_key(upload_id)));
  const auto applied = kv_.apply(ctx, batch);
  // The object is there; a record that stays behind only means that a repeat stages the same parts again.
  if (!applied && applied.error().code() != Code::kConflict) return applied.error();
  return info(repository, upload.about.path, std::move(entry));
}

Result<void> CatalogImpl::abort_upload(const Context& ctx, const std::string& upload_id) {
  TRY_LET(const Upload upload, load(ctx, kv_, upload_id));
  if (upload.json.has("completed")) return Error(Code::kNotFound, "upload", "the upload is complete already");
  TRY_LET(const auto stored, load_parts(ctx, kv_, upload_id));
  kv::Batch batch;
  batch.require_version(upload_key(upload_id), upload.version);
  batch.erase(upload_key(upload_id));
  batch.erase_range(parts_key(upload_id), kv::prefix_end(parts_key(upload_id)));
  const auto applied = kv_.apply(ctx, batch);
  if (!applied && applied.error().code() == Code::kConflict)
    return Error(Code::kNotFound, "upload", "the upload was ended meanwhile");
  if (!applied) return applied.error();
  if (upload.json.has("claimed")) return {};  // an entry may name the parts
  const auto repository = repository_of(ctx, engine_, upload);
  if (!repository) return {};
  for (const StoredPart& p : stored) {
    tree::Entry entry;
    entry.address.partition = p.partition;
    entry.address.sequence = p.sequence;
    discard(ctx, *repository, entry);
  }
  return {};
}

}  // namespace tarn::catalog
