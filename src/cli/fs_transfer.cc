// Bytes between files and branches, several at a time; each is checked against its MD5 where the server keeps one.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/executor.h"
#include "base/hash.h"
#include "cli/commands.h"

namespace tarn::cli {
namespace {

constexpr size_t kPiece = 256 * 1024;
constexpr int kTries = 4;
constexpr int64_t kParallel = 8;

/// A file as the body of a request; hashes what leaves.
class FileSource final : public http::BodySource {
 public:
  FileSource(std::unique_ptr<base::File> file, uint64_t size, Progress& progress)
      : file_(std::move(file)), size_(size), progress_(progress) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t n = std::min({size, kPiece, static_cast<size_t>(size_ - offset_)});
    if (n == 0) return n;
    TRY_LET(const std::string bytes, file_->read(offset_, n));
    bytes.copy(buffer, n);
    md5_.update(bytes);
    offset_ += n;
    progress_.add(0, static_cast<int64_t>(n));
    return n;
  }
  std::optional<uint64_t> size() const override { return size_; }
  std::string md5_hex() const { return base::to_hex(md5_.finish()); }

 private:
  std::unique_ptr<base::File> file_;
  uint64_t size_, offset_ = 0;
  Progress& progress_;
  base::Hasher md5_{base::Algorithm::kMd5};
};

/// Standard input, of unknown length.
class InputSource final : public http::BodySource {
 public:
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t n = std::fread(buffer, 1, size, stdin);
    if (n == 0 && std::ferror(stdin) != 0) return Error(Code::kUnavailable, "stdin", "standard input cannot be read");
    md5_.update({buffer, n});
    return n;
  }
  std::optional<uint64_t> size() const override { return std::nullopt; }
  std::string md5_hex() const { return base::to_hex(md5_.finish()); }

 private:
  base::Hasher md5_{base::Algorithm::kMd5};
};

bool is_md5(std::string_view checksum) {
  return checksum.size() == 32 && checksum.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Error wrong_checksum(std::string_view path, std::string_view ours, std::string_view theirs) {
  return Error(Code::kCorrupt, "checksum",
               fmt::format("{}: the bytes here have MD5 {}, the server has {}: transfer it again", path, ours, theirs));
}

Result<Json> body_of(http::ClientResponse response) {
  Answer answer{response.status, {}, std::move(response.body), {}};
  if (auto json = Json::parse(answer.text)) answer.body = std::move(*json);
  if (!answer.ok()) return error_of(answer);
  return std::move(answer.body);
}

bool is_passing(const Error& error) {
  return error.code() == Code::kBusy || (error.code() == Code::kUnavailable && error.subject() == "server");
}

struct Job {
  std::string file, path;
  uint64_t size = 0;
  std::string checksum;
};

/// Runs `one` for every job, several at a time, until the first error; says how many were done before it.
Result<void> run_parallel(const Call& call, const std::vector<Job>& jobs, Progress& progress,
                          const std::function<Result<void>(const Job&)>& one) {
  TRY_LET(const int64_t wanted, call.number("parallel", kParallel));
  const size_t threads = std::clamp<size_t>(static_cast<size_t>(wanted), 1, std::min<size_t>(64, jobs.size() + 1));
  base::Mutex mutex;
  std::optional<Error> failure;
  std::atomic<bool> failed{false};
  std::atomic<size_t> next{0}, done{0};
  const auto work = [&] {
    for (size_t i = next++; i < jobs.size() && !failed; i = next++) {
      auto result = one(jobs[i]);
      if (result) {
        ++done;
        progress.add(1, 0);
        continue;
      }
      base::Lock lock(mutex);
      if (!failure) failure = std::move(result).error();
      failed = true;
    }
  };
  {
    base::ThreadPool pool(threads);
    for (size_t i = 0; i < threads; ++i) pool.submit(work);
  }
  progress.finish();
  if (!failure) return {};
  if (jobs.size() == 1) return std::move(*failure);
  return failure->wrap(
      failure->code(), failure->subject(),
      fmt::format("stopped after {} of {} files; the command may be repeated", done.load(), jobs.size()));
}

// ---- upload ----------------------------------------------------------------------------------------------------

struct Upload {
  Uri branch;
  http::Headers headers;
};

http::ClientRequest upload_request(const Upload& upload, const std::string& path) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = path_of({"repositories", upload.branch.repository, "branches", upload.branch.ref, "objects"}) + "?" +
                http::format_query(query_of({{"path", path}}));
  request.headers = upload.headers;
  request.timeout_ms = 0;
  return request;
}

Result<Json> upload_file(Call& call, const Upload& upload, const Job& job, Progress& progress) {
  for (int attempt = 1;; ++attempt) {
    TRY_LET(auto file, base::system_disk().open(job.file, base::OpenMode::kRead));
    TRY_LET(const auto info, file->info());
    FileSource source(std::move(file), info.size, progress);
    http::ClientRequest request = upload_request(upload, job.path);
    request.source = &source;
    TRY_LET(auto response, call.api->send(std::move(request)));
    auto stored = body_of(std::move(response));
    if (!stored) {
      if (!is_passing(stored.error()) || attempt == kTries) return std::move(stored).error();
      base::system_clock().sleep_ms(200 << attempt);
      continue;
    }
    const std::string& theirs = (*stored)["checksum"].as_string();
    if (is_md5(theirs) && theirs != source.md5_hex()) return wrong_checksum(job.file, source.md5_hex(), theirs);
    return std::move(*stored);
  }
}

Result<Json> upload_input(Call& call, const Upload& upload, const std::string& path) {
  InputSource source;
  http::ClientRequest request = upload_request(upload, path);
  request.source = &source;
  TRY_LET(auto response, call.api->send(std::move(request)));
  TRY_LET(Json stored, body_of(std::move(response)));
  const std::string& theirs = stored["checksum"].as_string();
  if (is_md5(theirs) && theirs != source.md5_hex()) return wrong_checksum("standard input", source.md5_hex(), theirs);
  return stored;
}

/// All files below a folder, in bytewise order. Links to folders are not followed.
Result<void> collect(const std::string& folder, const std::string& prefix, std::vector<Job>& jobs) {
  auto& disk = base::system_disk();
  TRY_LET(const auto names, disk.list(folder));
  for (const std::string& name : names) {
    const std::string file = fmt::format("{}/{}", folder, name);
    TRY_LET(const auto info, disk.stat(file));
    if (!info.is_directory) {
      jobs.push_back({file, prefix + name, info.size, ""});
      continue;
    }
    TRY_LET(const std::string real, disk.real_path(file));
    TRY_LET(const std::string parent, disk.real_path(folder));
    if (real == fmt::format("{}/{}", parent, name)) TRY(collect(file, fmt::format("{}{}/", prefix, name), jobs));
  }
  return {};
}

Result<int> upload(Call& call) {
  TRY_LET(const Uri uri, parse_prefix_uri(call.operand("PATH")));
  std::string from = call.has("source") ? call.get("source") : call.operand("FILE");
  if (from.empty()) return usage_error("FILE is missing: the file or folder to upload, or - for standard input");
  Upload upload{uri, {}};
  if (call.has("content-type")) upload.headers.set("Content-Type", call.get("content-type"));
  TRY_LET(const Json metadata, call.pairs("meta"));
  for (const auto& [name, value] : metadata.members()) upload.headers.set("X-Lakefs-Meta-" + name, value.as_string());
  if (from == "-") {
    if (uri.path.empty() || uri.path.ends_with('/'))
      return usage_error("standard input needs a path that names an object");
    TRY_LET(const Json stored, upload_input(call, upload, uri.path));
    if (!call.out->as_json(stored)) call.out->remark("uploaded " + uri.text());
    return kDone;
  }
  while (from.size() > 1 && from.back() == '/') from.pop_back();
  const auto info = base::system_disk().stat(from);
  if (!info) return usage_error(fmt::format("{}: {}", from, info.error().message()));
  std::vector<Job> jobs;
  std::string prefix = uri.path;
  if (info->is_directory) {
    if (!call.has("recursive")) return usage_error(fmt::format("{} is a folder: add -r to upload what is in it", from));
    if (!prefix.empty() && prefix.back() != '/') prefix += '/';
    TRY(collect(from, prefix, jobs));
    if (jobs.empty()) return usage_error(fmt::format("there are no files in {}", from));
  } else {
    if (prefix.empty() || prefix.ends_with('/')) prefix += from.substr(from.rfind('/') + 1);
    jobs.push_back({from, prefix, info->size, ""});
  }
  Progress progress(*call.out, "uploaded files", static_cast<int64_t>(jobs.size()));
  base::Mutex mutex;
  Json results = Json::array();
  int64_t bytes = 0;
  TRY(run_parallel(call, jobs, progress, [&](const Job& job) -> Result<void> {
    TRY_LET(Json stored, upload_file(call, upload, job, progress));
    base::Lock lock(mutex);
    bytes += stored["size_bytes"].as_int();
    if (call.out->json()) results.push(std::move(stored));
    return {};
  }));
  if (!info->is_directory) {
    if (!call.out->as_json(results.items().empty() ? Json() : results.items().front()))
      call.out->remark(fmt::format("uploaded {}/{}/{}, {}", uri.repository, uri.ref, prefix, bytes_text(bytes)));
    return kDone;
  }
  auto& items = results.items_mutable();
  std::sort(items.begin(), items.end(),
            [](const Json& a, const Json& b) { return a["path"].as_string() < b["path"].as_string(); });
  if (!call.out->as_json(Json::object({{"results", results}})))
    call.out->remark(fmt::format("uploaded {} files, {}", jobs.size(), bytes_text(bytes)));
  return kDone;
}

// ---- download --------------------------------------------------------------------------------------------------

Result<void> download_file(Call& call, const Uri& from, const Job& job, Progress& progress) {
  auto& disk = base::system_disk();
  if (const size_t slash = job.file.rfind('/'); slash != std::string::npos && slash > 0)
    TRY(disk.make_directories(job.file.substr(0, slash)));
  const std::string part = job.file + ".tarn-part";
  TRY(disk.remove(part));
  base::Hasher md5(base::Algorithm::kMd5);
  uint64_t size = 0;
  Result<void> written = [&]() -> Result<void> {
    TRY_LET(auto file, disk.open(part, base::OpenMode::kCreate));
    http::ClientRequest request;
    request.url = path_of({"repositories", from.repository, "refs", from.ref, "objects"}) + "?" +
                  http::format_query(query_of({{"path", job.path}}));
    request.timeout_ms = 0;
    request.sink = [&](std::string_view piece) -> Result<void> {
      md5.update(piece);
      size += piece.size();
      progress.add(0, static_cast<int64_t>(piece.size()));
      return file->append(piece);
    };
    TRY_LET(auto response, call.api->send(std::move(request)));
    TRY(body_of(std::move(response)));
    if (size != job.size)
      return Error(Code::kCorrupt, "size",
                   fmt::format("{}: {} bytes came, the server has {}", job.path, size, job.size));
    const std::string ours = base::to_hex(md5.finish());
    if (is_md5(job.checksum) && ours != job.checksum) return wrong_checksum(job.path, ours, job.checksum);
    return disk.rename(part, job.file);
  }();
  if (!written) static_cast<void>(disk.remove(part));
  return written;
}

/// A name from the server as a file below a folder of ours. Errors: kInvalid when it would lie elsewhere.
Result<std::string> below(const std::string& folder, std::string_view relative) {
  for (std::string_view rest = relative;;) {
    const std::string_view word = rest.substr(0, rest.find('/'));
    if (word.empty() || word == "." || word == ".." || word.find('\0') != std::string_view::npos)
      return Error(
          Code::kInvalid, "path",
          fmt::format("'{}' cannot be a file's name here: download it alone, under another name", printable(relative)));
    if (word.size() == rest.size()) break;
    rest.remove_prefix(word.size() + 1);
  }
  return folder + "/" + std::string(relative);
}

Result<int> download(Call& call) {
  const bool recursive = call.has("recursive");
  TRY_LET(Uri uri,
          recursive ? parse_prefix_uri(call.operand("PATH")) : parse_uri(call.operand("PATH"), UriPart::kPath));
  std::string to = call.operand("FILE");
  const auto objects = path_of({"repositories", uri.repository, "refs", uri.ref, "objects"});
  // One commit for all of a download: the branch may move meanwhile. Uncommitted objects are named by the branch only.
  std::vector<Job> jobs;
  if (recursive) {
    if (!uri.path.empty() && uri.path.back() != '/') uri.path += '/';
    if (to.empty()) to = ".";
    while (to.size() > 1 && to.back() == '/') to.pop_back();
    TRY(call.api->each(objects + "/ls", query_of({{"prefix", uri.path}, {"user_metadata", "false"}}), 0,
                       [&](const Json& item) -> Result<void> {
                         const std::string& path = item["path"].as_string();
                         TRY_LET(const std::string file, below(to, std::string_view(path).substr(uri.path.size())));
                         jobs.push_back({file, path, static_cast<uint64_t>(item["size_bytes"].as_int()),
                                         item["checksum"].as_string()});
                         return {};
                       }));
    if (jobs.empty()) return Error(Code::kNotFound, "path", fmt::format("nothing lies below {}", uri.text()));
  } else {
    TRY_LET(const Json object, call.api->get(objects + "/stat", query_of({{"path", uri.path}})));
    const std::string name = uri.path.substr(uri.path.rfind('/') + 1);
    if (to.empty()) to = name;
    const auto info = base::system_disk().stat(to);
    if (to.ends_with('/') || (info && info->is_directory)) to += (to.ends_with('/') ? "" : "/") + name;
    jobs.push_back(
        {to, uri.path, static_cast<uint64_t>(object["size_bytes"].as_int()), object["checksum"].as_string()});
  }
  Progress progress(*call.out, "downloaded files", static_cast<int64_t>(jobs.size()));
  TRY(run_parallel(call, jobs, progress, [&](const Job& job) { return download_file(call, uri, job, progress); }));
  int64_t bytes = 0;
  for (const Job& job : jobs) bytes += static_cast<int64_t>(job.size);
  if (!call.out->as_json(Json::object({{"files", jobs.size()}, {"bytes", bytes}, {"to", to}})))
    call.out->remark(recursive ? fmt::format("downloaded {} files, {}, to {}", jobs.size(), bytes_text(bytes), to)
                               : fmt::format("downloaded {}, {}", to, bytes_text(bytes)));
  return kDone;
}

}  // namespace

std::vector<Command> fs_transfer_commands() {
  const Option recursive{"recursive", "", "a folder and all below it", 'r'};
  const Option parallel{"parallel", "N", "so many at a time (8)", 'p'};
  return {
      {.words = "fs upload",
       .summary = "Uploads a file or a folder to a branch",
       .operands = {{"PATH", "repository/branch/path; with / at its end the file keeps its name"},
                    {"FILE", "the file or folder; - is standard input", Operand::Count::kOptional}},
       .options = {{"source", "FILE", "the same as FILE", 's'},
                   recursive,
                   parallel,
                   {"content-type", "TYPE", "as readers will see it"},
                   {"meta", "KEY=VALUE", "user metadata of the object", 0, true}},
       .run = upload},
      {.words = "fs download",
       .summary = "Downloads an object or a folder",
       .operands = {{"PATH", "repository/ref/path"},
                    {"FILE", "where to (the same name here; with -r this folder)", Operand::Count::kOptional}},
       .options = {recursive, parallel},
       .run = download,
       .more = "A file appears under its name only when it is whole."},
  };
}

}  // namespace tarn::cli
