// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
#include "s3/listing.h"
#include "s3/operations.h"
#include "s3/xml.h"

namespace tarn::s3 {

// 1. permission and parameters  2. a page of keys after `marker`  3. NextMarker only with a delimiter, as AWS has it:
// without one, the last key is the next marker.
Answer list_objects(Call& call) {
  TRY_LET(KeyQuery query, read_key_query(call));
  TRY_LET(const bool encode, call.url_encoding());
  query.after = call.query_text("marker");
  TRY_LET(const KeyPage page, list_keys(call.ctx, call.catalog(), call.address.bucket, query));

  XmlWriter xml("ListBucketResult");
  xml.text("Name", call.address.bucket);
  xml.text("Prefix", listed_name(query.prefix, encode));
  xml.text("Marker", listed_name(query.after, encode));
  xml.number("MaxKeys", query.max);
  if (!query.delimiter.empty()) xml.text("Delimiter", listed_name(query.delimiter, encode));
  if (encode) xml.text("EncodingType", "url");
  xml.flag("IsTruncated", page.truncated);
  // At the root branches are common prefixes even without a delimiter, so that clients need the marker there too.
  const bool ends_in_prefix = !page.items.empty() && page.items.back().is_prefix;
  if (page.truncated && (!query.delimiter.empty() || ends_in_prefix))
    xml.text("NextMarker", listed_name(page.next_after, encode));
  write_keys(xml, page, encode, call.principal().user);
  return xml.response();
}

}  // namespace tarn::s3
