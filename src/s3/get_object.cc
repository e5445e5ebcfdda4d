// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
#include <fmt/format.h>

#include "s3/conditions.h"
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {
namespace {

/// Object bytes as a response's body; the kernel copies them when they lie in a file.
class ObjectBody final : public http::BodySource {
 public:
  ObjectBody(std::unique_ptr<block::ByteReader> reader, uint64_t size) : reader_(std::move(reader)), size_(size) {}
  Result<size_t> read(char* buffer, size_t size) override { return reader_->read(buffer, size); }
  std::optional<uint64_t> size() const override { return size_; }
  std::optional<http::FileSpan> file() const override {
    const auto span = reader_->span();
    if (!span) return std::nullopt;
    return http::FileSpan{span->descriptor, span->offset, span->length};
  }

 private:
  std::unique_ptr<block::ByteReader> reader_;
  uint64_t size_;
};

/// What conditions, range and part number ask for, given the object.
struct Plan {
  int status = 200;
  Range range;
  size_t parts = 0;  ///< of an object made in parts, when one was asked for
};

Result<Plan> plan_part(std::string_view text, const tree::Entry& entry) {
  const auto number = parse_number(text);
  if (!number || *number < 1 || *number > 10'000)
    return refuse("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive");
  const auto& sizes = entry.address.part_sizes;
  if (sizes.empty()) {
    if (*number == 1) return Plan{206, {0, entry.size}, 0};
    return refuse("InvalidPartNumber", "The requested partnumber is not satisfiable");
  }
  if (*number > sizes.size()) return refuse("InvalidPartNumber", "The requested partnumber is not satisfiable");
  Plan plan{206, {}, sizes.size()};
  for (size_t i = 0; i + 1 < *number; ++i) plan.range.offset += sizes[i];
  plan.range.length = sizes[*number - 1];
  return plan;
}

Result<Plan> plan_read(const Call& call, const tree::Entry& entry) {
  TRY_LET(const Verdict verdict, check_read(call.headers(), entry));
  if (verdict == Verdict::kNotModified) return Plan{304, {}, 0};
  const auto header = call.headers().find("Range");
  if (const auto part = call.query("partNumber")) {
    if (header) return refuse("InvalidRequest", "Cannot specify both Range header and partNumber query parameter");
    return plan_part(*part, entry);
  }
  auto range = resolve_range(header, entry.size);
  if (!range) return Plan{416, {}, 0};
  if (*range) return Plan{206, **range, 0};
  return Plan{200, {0, entry.size}, 0};
}

Answer head_of(const Call& call, const Plan& plan, const tree::Entry& entry) {
  http::Response response;
  if (plan.status == 416) {
    XmlWriter xml("Error", XmlWriter::Namespace::kNone);
    xml.text("Code", "InvalidRange");
    xml.text("Message", "The requested range is not satisfiable");
    xml.text("RangeRequested", call.headers().find("Range").value_or(""));
    xml.number("ActualObjectSize", entry.size);
    xml.text("RequestId", call.request.request_id);
    response = xml.response(416);
    response.headers.set("Content-Range", fmt::format("bytes */{}", entry.size));
    return response;
  }
  response.status = plan.status;
  write_object_headers(response, entry, call.headers());
  TRY(override_headers(response, call.request.query));
  if (plan.parts > 0) response.headers.set("x-amz-mp-parts-count", std::to_string(plan.parts));
  if (plan.status == 206 && plan.range.length > 0)
    response.headers.set("Content-Range", fmt::format("bytes {}-{}/{}", plan.range.offset,
                                                      plan.range.offset + plan.range.length - 1, entry.size));
  return response;
}

/// "main/": the folder that a branch is. It exists as long as its ref does, and holds nothing.
Answer ref_root(const Call& call) {
  if (!call.address.key.ends_with('/'))
    return refuse("NoSuchKey", "The specified key does not exist: a key is ref/path");
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, call.address.bucket));
  TRY_LET(const auto at, call.engine().resolve(call.ctx, repository, call.address.ref));
  tree::Entry folder;
  folder.etag = tree::Etag::md5(base::md5(""));
  folder.mtime_ms = at.commit.date_ms;
  folder.content_type = "application/x-directory";
  http::Response response = http::empty(200);
  write_object_headers(response, folder, call.headers());
  response.headers.set("Content-Length", "0");
  return response;
}

}  // namespace

// 1. may read  2. the object  3. conditions: 412, 304  4. range or part: 206, 416  5. headers  6. bytes
Answer get_object(Call& call) {
  TRY(call.allow(auth::Action::kReadObject));
  const Address& at = call.address;
  if (at.is_ref_root()) {
    TRY_LET(auto response, ref_root(call));
    response.headers.remove("Content-Length");
    return response;
  }
  constexpr int kTries = 5;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    TRY_LET(const auto info, call.catalog().stat_object(call.ctx, at.bucket, at.ref, at.path));
    TRY_LET(const Plan plan, plan_read(call, info.entry));
    TRY_LET(http::Response response, head_of(call, plan, info.entry));
    if (plan.status != 200 && plan.status != 206) return response;
    // The entry that was judged is the one that is read: a write in between changes nothing here.
    TRY_LET(const auto repository, call.engine().get_repository(call.ctx, at.bucket));
    auto reader = call.catalog().open_entry(call.ctx, repository, info.entry, {plan.range.offset, plan.range.length});
    if (!reader) {
      // Bytes of an entry that was replaced may be gone already: look again.
      if (reader.error().code() == Code::kGone && attempt + 1 < kTries) {
        TRY_LET(const auto now, call.catalog().stat_object(call.ctx, at.bucket, at.ref, at.path));
        if (now.entry.address != info.entry.address) continue;
      }
      return std::move(reader).error();
    }
    response.source = std::make_unique<ObjectBody>(std::move(*reader), plan.range.length);
    return response;
  }
  return Error(Code::kBusy, "object", "the object is written too often to be read: try again");
}

// As GetObject, without the bytes.
Answer head_object(Call& call) {
  TRY(call.allow(auth::Action::kReadObject));
  const Address& at = call.address;
  if (at.is_ref_root()) return ref_root(call);
  TRY_LET(const auto info, call.catalog().stat_object(call.ctx, at.bucket, at.ref, at.path));
  TRY_LET(const Plan plan, plan_read(call, info.entry));
  TRY_LET(http::Response response, head_of(call, plan, info.entry));
  if (plan.status == 200 || plan.status == 206)
    response.headers.set("Content-Length", std::to_string(plan.range.length));
  return response;
}

// Objects have no tags here (a write that brings some is refused), so the set is empty.
Answer get_object_tagging(Call& call) {
  TRY(call.allow(auth::Action::kReadObject));
  TRY(call.need_path());
  const Address& at = call.address;
  TRY_LET(const auto info, call.catalog().stat_object(call.ctx, at.bucket, at.ref, at.path));
  XmlWriter xml("Tagging");
  xml.open("TagSet");
  return xml.response();
}

}  // namespace tarn::s3
