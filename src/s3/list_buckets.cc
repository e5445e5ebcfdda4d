// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
#include "s3/errors.h"
#include "s3/object_headers.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {

// 1. may list  2. repositories that the caller may read, by name  3. prefix, max-buckets, continuation-token.
Answer list_buckets(Call& call) {
  TRY(call.allow(auth::Action::kListRepositories));
  TRY_LET(const size_t max, call.query("max-buckets") ? call.count("max-buckets") : Result<size_t>(SIZE_MAX));
  versioning::PageQuery page{call.query_text("prefix"), call.query_text("continuation-token"), 1'000};
  XmlWriter xml("ListAllMyBucketsResult");
  xml.open("Owner");
  xml.text("ID", call.principal().user);
  xml.text("DisplayName", call.principal().user);
  xml.close();
  xml.open("Buckets");
  size_t given = 0;
  std::string last, next;
  while (next.empty()) {
    TRY_LET(const auto found, call.engine().list_repositories(call.ctx, page));
    for (const auto& repository : found.items) {
      if (!call.allow(auth::Action::kReadRepository, {.bucket = repository.name})) continue;
      if (given == max) {
        next = last;
        break;
      }
      ++given;
      last = repository.name;
      xml.open("Bucket");
      xml.text("Name", repository.name);
      xml.text("CreationDate", iso_time(repository.created_ms));
      xml.text("BucketRegion", call.doors.region);
      xml.close();
    }
    if (!found.has_more) break;
    page.after = found.next_after;
  }
  xml.close();
  if (!page.prefix.empty()) xml.text("Prefix", page.prefix);
  if (!next.empty()) xml.text("ContinuationToken", next);
  return xml.response();
}

}  // namespace tarn::s3
