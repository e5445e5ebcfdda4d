#pragma once
// The S3 door: one function from a request to an answer.
#include <functional>
#include <string>
#include <vector>

#include "auth/auth.h"
#include "base/clock.h"
#include "catalog/catalog.h"
#include "http/in_flight.h"
#include "http/response.h"

namespace tarn::s3 {

/// References live as long as the handler. Threads: any.
struct Doors {
  catalog::Catalog& catalog;
  auth::Auth& auth;
  base::Clock& clock;
  std::string region;                        ///< named in answers; signatures may name any
  std::vector<std::string> gateway_domains;  ///< "<bucket>.<domain>" is virtual-host style
  http::InFlight* in_flight = nullptr;       ///< requests at once, by principal; nullptr: not counted
  int64_t request_deadline_ms = 0;           ///< of operations that move no object bytes and land nothing; 0: none
};

/// Signed by AWS's rules, by header or by query, or sent to a gateway domain or below one.
bool is_s3_request(const http::Request& request, const std::vector<std::string>& domains);

/// Address, signature, operation, permission, answer; every error becomes S3's XML. Copies the doors.
std::function<http::Response(const Context&, http::Request&)> make_handler(Doors doors);

}  // namespace tarn::s3
