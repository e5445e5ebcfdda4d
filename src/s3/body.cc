#include "s3/body.h"

#include <fmt/format.h>

#include <charconv>

#include "base/bytes.h"
#include "s3/errors.h"

namespace tarn::s3 {
namespace {

using auth::PayloadKind;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

}  // namespace

Result<std::unique_ptr<Body>> Body::open(http::Request& request, auth::SignedRequest& signature,
                                         ChecksumHeaders headers) {
  std::unique_ptr<Body> body(new Body);
  body->in_ = request.body;
  body->kind_ = signature.payload;
  if (const auto md5 = request.headers.find("Content-MD5")) {
    body->md5_ = base::from_base64(*md5);
    if (!body->md5_ || body->md5_->size() != 16)
      return refuse("InvalidDigest", "The Content-MD5 you specified is not valid: it must be the base64 of 16 bytes");
  }
  if (headers == ChecksumHeaders::kBody) TRY(body->open_checksum(request.headers));
  if (signature.payload == PayloadKind::kHash) {
    body->sha256_ = signature.payload_sha256;
    body->sha256_hasher_.emplace(base::Algorithm::kSha256);
  } else if (signature.payload != PayloadKind::kUnsigned) {
    TRY(body->open_chunks(request, signature));
  }
  return body;
}

Result<void> Body::open_checksum(const http::Headers& headers) {
  for (const auto& header : headers) {
    const auto kind = checksum_of_header(header.name);
    if (!kind) continue;
    if (expected_) return refuse("InvalidRequest", "Expecting a single x-amz-checksum- header");
    TRY_LET(auto raw, decode_checksum(*kind, header.value));
    expected_ = ChecksumValue{*kind, std::move(raw)};
    checksum_.emplace(*kind);
  }
  return {};
}

Result<void> Body::open_chunks(http::Request& request, auth::SignedRequest& signature) {
  AwsChunkedReader::Form form;
  form.chain = signature.chain ? &*signature.chain : nullptr;
  form.has_trailer = kind_ == PayloadKind::kSignedChunksTrailer || kind_ == PayloadKind::kUnsignedTrailer;
  const std::string_view length = request.headers.find("x-amz-decoded-content-length").value_or("");
  const auto [end, failed] = std::from_chars(length.data(), length.data() + length.size(), form.decoded_length);
  if (length.empty() || failed != std::errc() || end != length.data() + length.size())
    return refuse("MissingContentLength",
                  "You must provide the x-amz-decoded-content-length HTTP header with an aws-chunked body");
  for (std::string_view names : request.headers.all("x-amz-trailer")) {
    if (!form.has_trailer) return refuse("InvalidRequest", "x-amz-trailer needs a payload of a kind with a trailer");
    while (true) {
      const size_t comma = names.find(',');
      const std::string name = lower(http::trim(names.substr(0, comma)));
      const auto kind = checksum_of_header(name);
      if (!kind)
        return refuse("InvalidRequest",
                      fmt::format("The value specified in the x-amz-trailer header is not supported: {}", name));
      if (checksum_) return refuse("InvalidRequest", "Expecting a single x-amz-checksum- header or trailer");
      checksum_.emplace(*kind);
      checksum_in_trailer_ = true;
      form.trailer_names.push_back(name);
      if (comma == std::string_view::npos) break;
      names.remove_prefix(comma + 1);
    }
  }
  chunks_.emplace(*in_, std::move(form));
  return {};
}

Result<size_t> Body::read(char* buffer, size_t size) {
  if (failed_) return *failed_;
  auto got = step(buffer, size);
  if (!got) failed_ = got.error();
  return got;
}

Result<size_t> Body::step(char* buffer, size_t size) {
  if (size == 0) return size_t{0};
  TRY_LET(const size_t n, chunks_ ? chunks_->read(buffer, size) : in_->read(buffer, size));
  if (n > 0) {
    const std::string_view bytes(buffer, n);
    if (sha256_hasher_) sha256_hasher_->update(bytes);
    if (checksum_) checksum_->update(bytes);
    return n;
  }
  if (!verified_) TRY(verify());
  return size_t{0};
}

Result<void> Body::verify() {
  if (sha256_hasher_ && base::to_hex(sha256_hasher_->finish()) != sha256_)
    return refuse("XAmzContentSHA256Mismatch",
                  "The provided 'x-amz-content-sha256' header does not match what was computed.");
  if (checksum_in_trailer_) {
    const auto found = chunks_->trailer().find(std::string(header_of(checksum_->kind())));
    TRY_LET(auto raw, decode_checksum(checksum_->kind(), found->second));
    expected_ = ChecksumValue{checksum_->kind(), std::move(raw)};
  }
  if (checksum_ && checksum_->finish() != expected_->raw)
    return refuse("BadDigest", fmt::format("The {} you specified did not match the calculated checksum.",
                                           header_of(checksum_->kind()).substr(15)));
  verified_ = true;
  if (on_verified_) on_verified_();
  return {};
}

Result<std::string> Body::text(size_t limit) {
  TRY_LET(std::string all, http::read_all(*this, limit));
  if (md5_ && base::md5(all) != *md5_)
    return refuse("BadDigest", "The Content-MD5 you specified did not match what we received.");
  return all;
}

bool Body::is_protected() const {
  return md5_ || checksum_ || kind_ == PayloadKind::kHash || kind_ == PayloadKind::kSignedChunks ||
         kind_ == PayloadKind::kSignedChunksTrailer;
}

}  // namespace tarn::s3
