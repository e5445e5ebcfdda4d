// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
#include <map>

#include "s3/errors.h"
#include "s3/operations.h"
#include "s3/xml.h"
#include "s3/xml_bodies.h"

namespace tarn::s3 {
namespace {

using Failures = std::map<std::string, Error>;  // by key

Error fail_of(const Call& call, const Address& at, const Error& error) { return explain_write(call, at, error); }

/// One batch a ref; keys with a condition go one by one.
Result<void> remove_all(Call& call, const DeleteRequest& request, Failures& failed) {
  std::map<std::string, std::vector<std::string>> by_ref;
  for (const auto& object : request.objects) {
    Address at{.bucket = call.address.bucket};
    if (auto fine = set_key(at, object.key); !fine) {
      failed.emplace(object.key, std::move(fine).error());
      continue;
    }
    if (auto allowed = call.allow(auth::Action::kDeleteObject, at); !allowed) {
      failed.emplace(object.key, std::move(allowed).error());
      continue;
    }
    if (!object.version_id.empty() && object.version_id != "null") {
      failed.emplace(object.key, refuse("NotImplemented", "versions cannot be deleted: commits never change"));
      continue;
    }
    if (at.is_ref_root()) continue;  // nothing is there: success
    if (!object.etag) {
      by_ref[at.ref].push_back(at.path);
      continue;
    }
    const versioning::Expect expect{versioning::Expect::Kind::kEtag, *object.etag};
    if (auto removed = call.catalog().delete_object(call.ctx, at.bucket, at.ref, at.path, expect); !removed)
      failed.emplace(object.key, fail_of(call, at, removed.error()));
  }
  for (const auto& [ref, paths] : by_ref) {
    const Address at{.bucket = call.address.bucket, .key = ref + "/", .ref = ref};
    auto removed = call.catalog().delete_objects(call.ctx, at.bucket, ref, paths);
    if (!removed) {
      const Error error = fail_of(call, at, removed.error());
      for (const auto& path : paths) failed.emplace(ref + "/" + path, error);
      continue;
    }
    for (auto& one : *removed) failed.emplace(ref + "/" + one.path, fail_of(call, at, one.error));
  }
  return {};
}

}  // namespace

// 1. body: at most 1,000 keys, with an MD5, a checksum or a signed hash  2. permission by key  3. one batch a ref
// 4. per-key results; with Quiet only the failures
Answer delete_objects(Call& call) {
  TRY_LET(const auto body, call.body());
  if (!body->is_protected())
    return refuse("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
  auto text = body->text(kXmlBodyMax);
  if (!text && text.error().code() == Code::kTooLarge)
    return refuse("MalformedXML", "The XML you provided is larger than 2 MiB");
  if (!text) return std::move(text).error();
  TRY_LET(const DeleteRequest request, parse_delete(*text));
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, call.address.bucket));
  Failures failed;
  TRY(remove_all(call, request, failed));

  XmlWriter xml("DeleteResult");
  for (const auto& object : request.objects) {
    const auto failure = failed.find(object.key);
    if (failure == failed.end()) {
      if (request.quiet) continue;
      xml.open("Deleted");
      xml.text("Key", object.key);
      xml.close();
      continue;
    }
    xml.open("Error");
    xml.text("Key", object.key);
    xml.text("Code", code_of(failure->second).name);
    xml.text("Message", failure->second.message());
    xml.close();
  }
  return xml.response();
}

}  // namespace tarn::s3
