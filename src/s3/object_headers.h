#pragma once
// What an object carries besides its bytes: its headers on the way in and out.
#include "catalog/catalog.h"
#include "http/response.h"

namespace tarn::s3 {

/// Content type, user metadata (2 KiB at most) and the other stored headers, into `options`.
/// Errors: MetadataTooLarge, InvalidArgument.
Result<void> read_object_headers(const http::Headers& headers, catalog::PutOptions& options);
/// Refuses what this server would otherwise silently not do: encryption, locks, tags, ACLs, storage classes, appends.
/// Errors: NotImplemented, AccessControlListNotSupported, InvalidStorageClass.
Result<void> refuse_unsupported_headers(const http::Headers& headers);

/// ETag, Last-Modified, type, stored headers, metadata; with x-amz-checksum-mode: ENABLED in the request also
/// checksums.
void write_object_headers(http::Response& response, const tree::Entry& entry, const http::Headers& request);
/// response-content-type and its like. Errors: InvalidArgument (control characters).
Result<void> override_headers(http::Response& response, const http::Query& query);

/// Keeps an object's checksums where its other stored headers are replaced.
void keep_checksums(const tree::Entry& from, std::vector<tree::TaggedField>& tagged);
/// Sets a tag, keeping the order of tags.
void set_tag(std::vector<tree::TaggedField>& tagged, uint32_t tag, std::string value);

/// "\"…\"", as it stands in headers and XML.
std::string quoted_etag(const tree::Entry& entry);
/// "2009-10-12T17:50:30.000Z": always with milliseconds.
std::string iso_time(base::WallMs ms);

}  // namespace tarn::s3
