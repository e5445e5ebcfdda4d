#pragma once
// Ranges and conditions of reads and writes.
// Source: RFC 9110, 13 and 14; https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/headers.h"
#include "tree/entry.h"
#include "versioning/engine.h"

namespace tarn::s3 {

struct Range {
  uint64_t offset = 0, length = 0;
};

/// Digits and nothing else.
std::optional<uint64_t> parse_number(std::string_view text);

/// One "bytes=" range against an object's size. nullopt: none was asked for, or one of a form that is to be ignored
/// (bad syntax, several ranges). Errors: InvalidRange when it lies behind the end.
Result<std::optional<Range>> resolve_range(std::optional<std::string_view> header, uint64_t size);
/// x-amz-copy-source-range: exactly "bytes=first-last". Errors: InvalidArgument (syntax), InvalidRange (behind the
/// end).
Result<Range> resolve_copy_range(std::string_view header, uint64_t size);

/// Whether a list of ETags (or "*") names this one; weak marks and missing quotes do not matter.
bool names_etag(std::string_view list, std::string_view etag);

enum class Verdict { kGo, kNotModified };
/// If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since in the order of RFC 9110 13.2.2.
/// @param prefix  "" or "x-amz-copy-source-" (there a match of the negative ones fails too).
/// Errors: PreconditionFailed.
Result<Verdict> check_read(const http::Headers& headers, const tree::Entry& entry, std::string_view prefix = {});

/// What a writer expects to find. Errors: NotImplemented (If-None-Match other than "*"), InvalidRequest (both).
Result<versioning::Expect> write_expectation(const http::Headers& headers);

}  // namespace tarn::s3
