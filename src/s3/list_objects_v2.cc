// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
#include "base/bytes.h"
#include "s3/errors.h"
#include "s3/listing.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {
namespace {

/// The last key, in a form that nobody takes for one.
std::string make_token(std::string_view after) { return base::to_base64url("1" + std::string(after)); }

Result<std::string> read_token(std::string_view token) {
  const auto text = base::from_base64url(token);
  if (!text || text->empty() || text->front() != '1')
    return refuse("InvalidArgument", "The continuation token provided is incorrect");
  return text->substr(1);
}

}  // namespace

// 1. permission and parameters  2. a page of keys after the token, or after start-after  3. the next token.
Answer list_objects_v2(Call& call) {
  if (call.query("list-type") != "2") return refuse("InvalidArgument", "list-type must be 2");
  TRY_LET(KeyQuery query, read_key_query(call));
  TRY_LET(const bool encode, call.url_encoding());
  query.after = call.query_text("start-after");
  const auto token = call.query("continuation-token");
  if (token) {
    TRY_LET(query.after, read_token(*token));
  }
  TRY_LET(const KeyPage page, list_keys(call.ctx, call.catalog(), call.address.bucket, query));

  XmlWriter xml("ListBucketResult");
  xml.text("Name", call.address.bucket);
  xml.text("Prefix", listed_name(query.prefix, encode));
  xml.number("KeyCount", page.items.size());
  xml.number("MaxKeys", query.max);
  if (!query.delimiter.empty()) xml.text("Delimiter", listed_name(query.delimiter, encode));
  if (encode) xml.text("EncodingType", "url");
  xml.flag("IsTruncated", page.truncated);
  if (token) xml.text("ContinuationToken", *token);
  if (page.truncated) xml.text("NextContinuationToken", make_token(page.next_after));
  if (const auto start = call.query("start-after")) xml.text("StartAfter", listed_name(*start, encode));
  const bool with_owner = call.query("fetch-owner") == "true";
  write_keys(xml, page, encode, with_owner ? std::optional(call.principal().user) : std::nullopt);
  return xml.response();
}

}  // namespace tarn::s3
