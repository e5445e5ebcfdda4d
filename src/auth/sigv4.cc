#include "auth/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/hash.h"

namespace tarn::auth {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kAlgorithmV4a = "AWS4-ECDSA-P256-SHA256";
constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
constexpr int64_t kSkewMaxMs = 15 * 60 * 1000;
constexpr int64_t kExpiresMax = 7 * 24 * 3600;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower(c); });
  return out;
}

/// Appends the value without blanks around it and with every inner run of blanks as one space.
void append_trimmed(std::string& out, std::string_view value) {
  bool blank = false;
  for (const char c : http::trim(value)) {
    if (c == ' ' || c == '\t') {
      blank = true;
      continue;
    }
    if (blank) out.push_back(' ');
    blank = false;
    out.push_back(c);
  }
}

bool is_hex64(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'f');
         });
}

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> out;
  while (true) {
    const size_t cut = text.find(by);
    out.emplace_back(text.substr(0, cut));
    if (cut == std::string_view::npos) return out;
    text.remove_prefix(cut + 1);
  }
}

Error malformed(bool presigned, std::string message) {
  return Error(Code::kInvalid, presigned ? "query" : "authorization", std::move(message));
}

/// The signature's fields, wherever they stood.
struct Claim {
  bool presigned = false;
  std::string access_key_id;
  Scope scope;
  std::vector<std::string> signed_headers;
  std::string signature;
  std::string amz_date;
  base::WallMs date_ms = 0;
  int64_t expires_s = 0;  ///< presigned only
  std::string payload_hash;
};

/// "AKID/20130524/us-east-1/s3/aws4_request"
Result<void> read_credential(std::string_view text, Claim& claim) {
  const auto parts = split(text, '/');
  const size_t n = parts.size();
  if (n < 5 || parts[n - 1] != "aws4_request" || parts[n - 2] != "s3" || parts[n - 4].size() != 8)
    return malformed(claim.presigned,
                     "the credential must be <access key>/<yyyymmdd>/<region>/s3/aws4_request in this order");
  claim.scope = {parts[n - 4], parts[n - 3], parts[n - 2]};
  claim.access_key_id = std::string(text.substr(0, text.size() - claim.scope.text().size() - 1));
  if (claim.access_key_id.empty() || claim.access_key_id.size() > 128)
    return malformed(claim.presigned, "an access key id has 1 to 128 bytes");
  return {};
}

Result<void> read_signed_headers(std::string_view text, Claim& claim) {
  claim.signed_headers = split(text, ';');
  for (size_t i = 0; i < claim.signed_headers.size(); ++i) {
    const std::string& name = claim.signed_headers[i];
    if (name.empty() || name != lower(name) || (i > 0 && name <= claim.signed_headers[i - 1]))
      return malformed(claim.presigned, "SignedHeaders must be lower-case names in ascending order, each once");
  }
  if (!std::binary_search(claim.signed_headers.begin(), claim.signed_headers.end(), "host"))
    return malformed(claim.presigned, "SignedHeaders must hold host");
  return {};
}

Result<void> read_signature(std::string_view text, Claim& claim) {
  claim.signature = std::string(text);
  if (!is_hex64(text)) return malformed(claim.presigned, "the signature must be 64 hex digits");
  return {};
}

/// Errors: kInvalid when the header stands there more than once.
Result<std::optional<std::string_view>> only(const http::Request& request, std::string_view name) {
  const auto found = request.headers.all(name);
  if (found.size() > 1) return malformed(false, fmt::format("the header {} must stand there once only", name));
  return found.empty() ? std::optional<std::string_view>() : found.front();
}

Result<void> read_date(const http::Request& request, Claim& claim) {
  const auto missing = [] {
    return Error(Code::kForbidden, "date", "AWS authentication requires a valid Date or x-amz-date header");
  };
  TRY_LET(const auto amz, only(request, "x-amz-date"));
  TRY_LET(const auto plain, only(request, "Date"));
  if (!amz && !plain) return missing();
  const std::string_view text = amz ? *amz : *plain;
  auto at = base::parse_amz_date(text);
  if (!at && !amz) at = base::parse_http_date(text);
  if (!at) return missing();
  if (!amz && !std::binary_search(claim.signed_headers.begin(), claim.signed_headers.end(), "date"))
    return Error(Code::kForbidden, "headers", "the Date header must be signed");
  claim.date_ms = *at;
  claim.amz_date = base::amz_date(*at);
  return {};
}

/// "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…"
Result<Claim> claim_of_header(const http::Request& request, std::string_view header) {
  Claim claim;
  std::string_view rest = header.substr(kAlgorithm.size());
  std::string_view credential, signed_headers, signature;
  for (const auto& piece : split(rest, ',')) {
    const std::string_view field = http::trim(piece);
    const size_t equals = field.find('=');
    const std::string_view name = field.substr(0, equals);
    std::string_view* slot = name == "Credential"      ? &credential
                             : name == "SignedHeaders" ? &signed_headers
                             : name == "Signature"     ? &signature
                                                       : nullptr;
    if (equals == std::string_view::npos || slot == nullptr || !slot->empty())
      return malformed(false,
                       "the Authorization header must be AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…");
    // Views into the header, not into the copy made by split().
    const size_t at = header.find(field);
    *slot = header.substr(at + equals + 1, field.size() - equals - 1);
  }
  if (credential.empty() || signed_headers.empty() || signature.empty())
    return malformed(false, "the Authorization header lacks Credential, SignedHeaders or Signature");
  TRY(read_credential(credential, claim));
  TRY(read_signed_headers(signed_headers, claim));
  TRY(read_signature(signature, claim));
  TRY(read_date(request, claim));
  TRY_LET(const auto hash, only(request, "x-amz-content-sha256"));
  if (!hash)
    return Error(Code::kInvalid, "payload_hash",
                 "the header x-amz-content-sha256 is missing: it is part of the signature");
  claim.payload_hash = std::string(*hash);
  return claim;
}

Result<Claim> claim_of_query(const http::Request& request) {
  Claim claim;
  claim.presigned = true;
  const auto need = [&](std::string_view name) -> Result<std::string_view> {
    const auto value = request.query.find(name);
    if (!value || value->empty()) return malformed(true, fmt::format("a presigned URL needs the parameter {}", name));
    return *value;
  };
  for (const auto& [name, value] : request.query)
    if (lower(name).starts_with("x-amz-") && request.query.all(name).size() > 1)
      return malformed(true, fmt::format("the parameter {} must stand there once only", name));
  TRY_LET(const auto algorithm, need("X-Amz-Algorithm"));
  if (algorithm == kAlgorithmV4a)
    return Error(Code::kUnsupported, "sigv4a", "Signature Version 4A is not supported: sign with AWS4-HMAC-SHA256");
  if (algorithm != kAlgorithm) return malformed(true, "X-Amz-Algorithm must be AWS4-HMAC-SHA256");
  TRY_LET(const auto credential, need("X-Amz-Credential"));
  TRY_LET(const auto date, need("X-Amz-Date"));
  TRY_LET(const auto expires, need("X-Amz-Expires"));
  TRY_LET(const auto signed_headers, need("X-Amz-SignedHeaders"));
  TRY_LET(const auto signature, need("X-Amz-Signature"));
  TRY(read_credential(credential, claim));
  TRY(read_signed_headers(signed_headers, claim));
  TRY(read_signature(signature, claim));
  const auto at = base::parse_amz_date(date);
  if (!at) return malformed(true, "X-Amz-Date must have the form 20130524T000000Z");
  claim.date_ms = *at;
  claim.amz_date = std::string(date);
  const auto [end, failed] = std::from_chars(expires.data(), expires.data() + expires.size(), claim.expires_s);
  if (failed != std::errc() || end != expires.data() + expires.size() || claim.expires_s < 1 ||
      claim.expires_s > kExpiresMax)
    return malformed(true, fmt::format("X-Amz-Expires must be 1 to {} seconds", kExpiresMax));
  TRY_LET(const auto header, only(request, "x-amz-content-sha256"));
  claim.payload_hash =
      std::string(header ? *header : request.query.find("X-Amz-Content-Sha256").value_or(kUnsignedPayload));
  return claim;
}

Result<Claim> claim_of(const http::Request& request) {
  TRY_LET(const auto header, only(request, "Authorization"));
  const bool in_query = request.query.has("X-Amz-Signature") || request.query.has("X-Amz-Credential") ||
                        request.query.has("X-Amz-Algorithm");
  const bool v2_in_query = request.query.has("AWSAccessKeyId");
  if ((header ? 1 : 0) + (in_query ? 1 : 0) + (v2_in_query ? 1 : 0) > 1)
    return malformed(false, "only one mechanism of authentication is allowed: the header or the query");
  const auto v2 = [] {
    return Error(Code::kInvalid, "sigv2",
                 "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256 "
                 "(in boto3: Config(signature_version=\"s3v4\")).");
  };
  if (v2_in_query) return v2();
  if (in_query) return claim_of_query(request);
  if (!header)
    return Error(Code::kUnauthenticated, "anonymous",
                 "Access Denied: the request is not signed, and nothing here is public");
  if (header->starts_with(kAlgorithmV4a))
    return Error(Code::kUnsupported, "sigv4a", "Signature Version 4A is not supported: sign with AWS4-HMAC-SHA256");
  if (header->starts_with("AWS ")) return v2();
  if (!header->starts_with(kAlgorithm))
    return malformed(false, "the Authorization header must begin with AWS4-HMAC-SHA256");
  return claim_of_header(request, *header);
}

Result<void> check_time(const Claim& claim, base::WallMs now) {
  if (claim.scope.day != std::string_view(claim.amz_date).substr(0, 8))
    return malformed(claim.presigned, fmt::format("the credential's day {} is not that of the request's date {}",
                                                  claim.scope.day, claim.amz_date));
  if (!claim.presigned) {
    if (now - claim.date_ms > kSkewMaxMs || claim.date_ms - now > kSkewMaxMs)
      return Error(Code::kForbidden, "clock",
                   fmt::format("The difference between the request time and the current time is too large: request {}, "
                               "server {}, allowed 15 minutes",
                               base::rfc3339(claim.date_ms), base::rfc3339(now)));
    return {};
  }
  // A presigned URL may be as old as its own expiry allows; only the future is bounded by the skew.
  if (claim.date_ms - now > kSkewMaxMs)
    return Error(Code::kForbidden, "expired",
                 fmt::format("Request is not valid yet: it begins {}, the server has {}", base::rfc3339(claim.date_ms),
                             base::rfc3339(now)));
  if (now > claim.date_ms + claim.expires_s * 1000)
    return Error(Code::kForbidden, "expired",
                 fmt::format("Request has expired: it was valid until {}, the server has {}",
                             base::rfc3339(claim.date_ms + claim.expires_s * 1000), base::rfc3339(now)));
  return {};
}

Result<void> check_headers(const http::Request& request, const Claim& claim) {
  for (const auto& name : claim.signed_headers)
    if (!request.headers.has(name))
      return malformed(claim.presigned, fmt::format("the header {} is signed and not there", name));
  std::string unsigned_ones;
  for (const auto& header : request.headers) {
    const std::string name = lower(header.name);
    if (!name.starts_with("x-amz-") ||
        std::binary_search(claim.signed_headers.begin(), claim.signed_headers.end(), name))
      continue;
    if (!unsigned_ones.empty()) unsigned_ones += ", ";
    unsigned_ones += name;
  }
  if (!unsigned_ones.empty())
    return Error(Code::kForbidden, "headers",
                 fmt::format("There were headers present in the request which were not signed: {}", unsigned_ones));
  const auto token = request.headers.find("x-amz-security-token");
  const auto query_token = request.query.find("X-Amz-Security-Token");
  if ((token && !token->empty()) || (query_token && !query_token->empty()))
    return Error(
        Code::kInvalid, "token",
        "The provided token is malformed or otherwise invalid: keys of this server come without a session token, "
        "temporary ones too");
  return {};
}

Result<PayloadKind> kind_of(std::string_view hash) {
  if (is_hex64(hash)) return PayloadKind::kHash;
  if (hash == kUnsignedPayload) return PayloadKind::kUnsigned;
  if (hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") return PayloadKind::kSignedChunks;
  if (hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") return PayloadKind::kSignedChunksTrailer;
  if (hash == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") return PayloadKind::kUnsignedTrailer;
  if (hash.starts_with("STREAMING-AWS4-ECDSA-"))
    return Error(Code::kUnsupported, "sigv4a", "Signature Version 4A is not supported: sign with AWS4-HMAC-SHA256");
  return Error(Code::kInvalid, "payload_hash",
               "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
               "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a SHA-256 in hex");
}

}  // namespace

base::Secret<std::string> signing_key(std::string_view secret, const Scope& scope) {
  const base::Secret<std::string> first(fmt::format("AWS4{}", secret));
  const base::Secret<std::string> day(base::hmac_sha256(first.reveal(), scope.day));
  const base::Secret<std::string> region(base::hmac_sha256(day.reveal(), scope.region));
  const base::Secret<std::string> service(base::hmac_sha256(region.reveal(), scope.service));
  return base::Secret<std::string>(base::hmac_sha256(service.reveal(), "aws4_request"));
}

std::string canonical_request(const http::Request& request, const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash) {
  std::string out;
  out.reserve(1024);
  out += request.method_text.empty() ? http::name_of(request.method) : std::string_view(request.method_text);
  out += '\n';
  // The server refuses targets that do not decode, so this never fails on a request that came in.
  const auto path = http::percent_decode(request.raw_path);
  out += http::percent_encode(path ? *path : request.raw_path, http::KeepSlash::kYes);
  out += '\n';
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : request.query)
    if (name != "X-Amz-Signature") pairs.emplace_back(http::percent_encode(name), http::percent_encode(value));
  std::sort(pairs.begin(), pairs.end());
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (i > 0) out += '&';
    out += pairs[i].first;
    out += '=';
    out += pairs[i].second;
  }
  out += '\n';
  for (const auto& name : signed_headers) {
    out += name;
    out += ':';
    bool first = true;
    for (const auto value : request.headers.all(name)) {
      if (!first) out += ',';
      first = false;
      append_trimmed(out, value);
    }
    out += '\n';
  }
  out += '\n';
  for (size_t i = 0; i < signed_headers.size(); ++i) {
    if (i > 0) out += ';';
    out += signed_headers[i];
  }
  out += '\n';
  out += payload_hash;
  return out;
}

std::string string_to_sign(std::string_view amz_date, const Scope& scope, std::string_view canonical) {
  return fmt::format("{}\n{}\n{}\n{}", kAlgorithm, amz_date, scope.text(), base::sha256_hex(canonical));
}

std::string signature(const base::Secret<std::string>& key, std::string_view text) {
  return base::to_hex(base::hmac_sha256(key.reveal(), text));
}

bool ChunkChain::accept(std::string_view text, std::string_view given) {
  std::string computed = signature(key_, text);
  if (!base::equal_constant_time(computed, given)) return false;
  previous_ = std::move(computed);
  return true;
}

bool ChunkChain::accept_chunk(std::string_view sha256_hex, std::string_view given) {
  static const std::string kEmpty = base::sha256_hex("");
  return accept(
      fmt::format("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}", amz_date_, scope_, previous_, kEmpty, sha256_hex),
      given);
}

bool ChunkChain::accept_trailer(std::string_view text, std::string_view given) {
  return accept(
      fmt::format("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{}", amz_date_, scope_, previous_, base::sha256_hex(text)),
      given);
}

Result<SignedRequest> verify_sigv4(const Context& ctx, const http::Request& request, Auth& auth, base::Clock& clock,
                                   SignatureMismatch* mismatch) {
  TRY_LET(const Claim claim, claim_of(request));
  TRY_LET(const PayloadKind kind, kind_of(claim.payload_hash));
  TRY(check_time(claim, clock.wall_ms()));
  TRY(check_headers(request, claim));

  auto found = auth.find_secret(ctx, claim.access_key_id);
  if (!found && found.error().code() != Code::kUnauthenticated) return std::move(found).error();
  // An unknown key goes the same way with a secret that nobody has, so that time does not tell.
  auto key = signing_key(found ? std::string_view(found->secret.reveal()) : std::string_view("nobody"), claim.scope);
  const std::string canonical = canonical_request(request, claim.signed_headers, claim.payload_hash);
  const std::string to_sign = string_to_sign(claim.amz_date, claim.scope, canonical);
  const bool same = base::equal_constant_time(signature(key, to_sign), lower(claim.signature));
  if (!found)
    return Error(Code::kUnauthenticated, "access_key",
                 "The AWS Access Key Id you provided does not exist in our records, was revoked or has expired.");
  if (!same) {
    if (mismatch != nullptr) *mismatch = {canonical, to_sign, claim.signature};
    return Error(Code::kUnauthenticated, "signature",
                 "The request signature we calculated does not match the signature you provided. Check your key and "
                 "signing method.");
  }
  SignedRequest out;
  out.principal = std::move(found->principal);
  out.access_key_id = claim.access_key_id;
  out.presigned = claim.presigned;
  out.payload = kind;
  if (kind == PayloadKind::kHash) out.payload_sha256 = lower(claim.payload_hash);
  if (kind == PayloadKind::kSignedChunks || kind == PayloadKind::kSignedChunksTrailer)
    out.chain.emplace(std::move(key), claim.amz_date, claim.scope.text(), lower(claim.signature));
  return out;
}

}  // namespace tarn::auth
