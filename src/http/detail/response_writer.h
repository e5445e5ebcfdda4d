#pragma once
// Puts a response on the wire.
#include <string>
#include <string_view>

#include "http/detail/stream.h"
#include "http/response.h"

namespace tarn::http::detail {

/// What the server knows about an answer besides its content.
struct Envelope {
  std::string_view server_name;
  std::string_view request_id;
  base::WallMs now = 0;
  int minor_version = 1;
  bool head_only = false;  ///< the request was HEAD
  bool keep_alive = true;  ///< set to false by the writer when only closing can end the body
};

/// Head and, when it is small and in memory, body as one string: for answers given on the edge thread.
std::string small_response(const Response& response, Envelope& envelope);

/// Writes all of it. An error means that the client has not got the whole answer: cut the connection.
Result<void> write_response(Stream& stream, Response& response, Envelope& envelope);

}  // namespace tarn::http::detail
