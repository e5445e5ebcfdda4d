#pragma once
// What a handler answers.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/context.h"
#include "http/body.h"
#include "http/headers.h"
#include "http/request.h"

namespace tarn::http {

/// The server adds Date, Server, X-Request-ID, Content-Length or chunked framing, and Connection.
/// To HEAD it sends the head alone: a Content-Length header set by the handler is kept there, else it is taken from
/// `source` or `body`, which are not sent.
struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  std::unique_ptr<BodySource> source;  ///< when set, it is streamed in place of `body`
};

Response json(int status, std::string body);
Response text(int status, std::string body);
Response empty(int status);
Response stream(int status, std::string_view content_type, std::unique_ptr<BodySource> source);

/// "Not Found" and so on; "Status" for an unknown number.
std::string_view reason_of(int status);

/// Runs on a worker thread and may block. Put base::RunToken::Pause around what does.
using Handler = std::function<Response(const Context&, Request&)>;

}  // namespace tarn::http
