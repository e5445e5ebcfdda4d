#include <curl/curl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include <algorithm>
#include <vector>

#include "base/mutex.h"
#include "base/run_token.h"
#include "http/client.h"
#include "http/url.h"

namespace tarn::http {
namespace {

constexpr size_t kIdleHandles = 64;

struct CurlFree {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Handle = std::unique_ptr<CURL, CurlFree>;

struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// What the callbacks of one exchange share.
struct Exchange {
  const Context& ctx;
  const ClientRequest& request;
  CURL* handle;
  ClientResponse response;
  std::optional<Error> failure;  // ours, and so clearer than curl's
  bool sent = false;             // some byte of the request may have left
};

void read_header_line(Exchange& exchange, std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    exchange.response.headers = Headers();  // of an answer that only said "continue"
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  exchange.response.headers.add(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
}

size_t on_header(char* data, size_t size, size_t count, void* user) {
  read_header_line(*static_cast<Exchange*>(user), {data, size * count});
  return size * count;
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view piece(data, size * count);
  long status = 0;
  curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
  if (exchange.request.sink && status >= 200 && status < 300) {
    const auto taken = exchange.request.sink(piece);
    if (taken) return piece.size();
    exchange.failure = taken.error();
    return 0;
  }
  if (piece.size() > exchange.request.body_limit - exchange.response.body.size()) {
    exchange.failure =
        Error(Code::kTooLarge, "answer",
              fmt::format("the answer is larger than the {} bytes allowed", exchange.request.body_limit));
    return 0;
  }
  exchange.response.body.append(piece);
  return piece.size();
}

size_t on_send(char* buffer, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  auto n = exchange.request.source->read(buffer, size * count);
  if (n) return *n;
  exchange.failure = n.error();
  return CURL_READFUNC_ABORT;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(user)->ctx.cancelled() ? 1 : 0;
}

int on_debug(CURL*, curl_infotype type, char*, size_t, void* user) {
  if (type == CURLINFO_HEADER_OUT || type == CURLINFO_DATA_OUT) static_cast<Exchange*>(user)->sent = true;
  return 0;
}

curl_socket_t on_open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.request.allow_address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address->family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&address->addr)->sin_addr, text, sizeof text);
    } else if (address->family == AF_INET6) {
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&address->addr)->sin6_addr, text, sizeof text);
    }
    const auto allowed = exchange.request.allow_address(text);
    if (!allowed) {
      exchange.failure = allowed.error();
      return CURL_SOCKET_BAD;
    }
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// A method that may be sent twice without harm needs no warning about an unknown outcome.
bool only_reads(const std::string& method) { return method == "GET" || method == "HEAD"; }

Error failure_of(const Exchange& exchange, CURLcode code, const char* detail) {
  const ClientRequest& request = exchange.request;
  const std::string what = detail[0] != '\0' ? detail : curl_easy_strerror(code);
  const std::string where = request.url.substr(0, request.url.find('?'));
  const bool unknown = exchange.sent && !only_reads(request.method);
  if (exchange.failure) {
    if (unknown && exchange.failure->code() != Code::kForbidden)
      return exchange.failure->wrap(
          Code::kUnknownOutcome, "request",
          fmt::format("{} {} was cut: {}", request.method, where, exchange.failure->message()));
    return *exchange.failure;
  }
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
    return Error(Code::kInvalid, "url", fmt::format("{} is not an address that can be asked: {}", where, what));
  if (unknown)
    return Error(Code::kUnknownOutcome, "request",
                 fmt::format("{} {} may or may not have happened: {}", request.method, where, what));
  if (exchange.ctx.cancelled()) return Error(Code::kCancelled, "request", "the caller went away");
  if (code == CURLE_OPERATION_TIMEDOUT)
    return Error(Code::kDeadline, "request", fmt::format("{} {}: {}", request.method, where, what));
  return Error(Code::kUnavailable, "peer", fmt::format("{} {}: {}", request.method, where, what));
}

}  // namespace

class CurlClient::Impl {
 public:
  Impl() {
    static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
    ENSURE(once == CURLE_OK);
  }

  Result<ClientResponse> send(const Context& ctx, const ClientRequest& request) {
    TRY(parse_url(request.url));
    TRY_LET(const int64_t timeout_ms, time_left(ctx, request));
    TRY_LET(const auto list, header_list(request));
    TRY_LET(Handle handle, take());
    Exchange exchange{ctx, request, handle.get(), {}, {}, false};
    char detail[CURL_ERROR_SIZE] = "";
    set_up(handle.get(), exchange, timeout_ms, list.get(), detail);
    CURLcode code;
    {
      base::RunToken::Pause pause;
      code = curl_easy_perform(handle.get());
    }
    if (code != CURLE_OK) return failure_of(exchange, code, detail);  // the handle goes with its connection
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    exchange.response.status = static_cast<int>(status);
    give_back(std::move(handle));
    return std::move(exchange.response);
  }

 private:
  static Result<int64_t> time_left(const Context& ctx, const ClientRequest& request) {
    base::Clock& clock = base::system_clock();
    TRY(ctx.check(clock));
    int64_t left = request.timeout_ms;
    if (ctx.deadline() != Context().deadline()) {
      const int64_t until = std::max<int64_t>(ctx.deadline() - clock.steady_ms(), 1);
      left = left == 0 ? until : std::min(left, until);
    }
    return left;
  }

  static Result<std::unique_ptr<curl_slist, ListFree>> header_list(const ClientRequest& request) {
    std::unique_ptr<curl_slist, ListFree> list;
    const auto append = [&](const std::string& line) {
      curl_slist* longer = curl_slist_append(list.get(), line.c_str());
      if (longer == nullptr) return;
      static_cast<void>(list.release());
      list.reset(longer);
    };
    for (const Header& field : request.headers) {
      if (field.name.find_first_of("\r\n: ") != std::string::npos ||
          field.value.find_first_of("\r\n") != std::string::npos || field.value.find('\0') != std::string::npos)
        return Error(Code::kInvalid, "header", fmt::format("the header {} holds a line break", field.name));
      append(field.value.empty() ? field.name + ";" : field.name + ": " + field.value);
    }
    // Without these curl adds its own.
    if (!request.headers.has("Expect")) append("Expect:");
    if (!request.headers.has("Accept")) append("Accept: */*");
    if (!request.headers.has("Content-Type")) append("Content-Type:");
    return list;
  }

  static void set_up(CURL* handle, Exchange& exchange, int64_t timeout_ms, curl_slist* list, char* detail) {
    const ClientRequest& request = exchange.request;
    curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "tarn");
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1024L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, timeout_ms == 0 ? 60L : 0L);
    curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_DEBUGFUNCTION, on_debug);
    curl_easy_setopt(handle, CURLOPT_DEBUGDATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_VERBOSE, 1L);
    if (!request.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, request.ca_file.c_str());
    if (request.allow_address) {
      // A kept connection was checked for another caller's rule: this one asks anew.
      curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
      curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
      curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &exchange);
    }
    // libcurl repeats a request by itself when a kept connection dies under it: harmless only where repeating is.
    if (request.method == "POST" || request.method == "PATCH") curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
    set_body(handle, exchange);
  }

  static void set_body(CURL* handle, Exchange& exchange) {
    const ClientRequest& request = exchange.request;
    if (request.method == "HEAD") {
      curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else if (request.source != nullptr) {
      curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
      curl_easy_setopt(handle, CURLOPT_READFUNCTION, on_send);
      curl_easy_setopt(handle, CURLOPT_READDATA, &exchange);
      const auto size = request.source->size();
      curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, size ? static_cast<curl_off_t>(*size) : curl_off_t{-1});
    } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
               request.method == "PATCH") {
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }

  Result<Handle> take() {
    {
      base::Lock lock(mutex_);
      if (!idle_.empty()) {
        Handle handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
      }
    }
    Handle handle(curl_easy_init());
    if (!handle) return Error(Code::kInternal, "request", "libcurl gives no handle");
    return handle;
  }

  void give_back(Handle handle) {
    curl_easy_reset(handle.get());  // forgets options, keeps connections
    base::Lock lock(mutex_);
    if (idle_.size() < kIdleHandles) idle_.push_back(std::move(handle));
  }

  base::Mutex mutex_;
  std::vector<Handle> idle_;
};

CurlClient::CurlClient() : impl_(std::make_unique<Impl>()) {}
CurlClient::~CurlClient() = default;
Result<ClientResponse> CurlClient::send(const Context& ctx, const ClientRequest& request) {
  return impl_->send(ctx, request);
}

}  // namespace tarn::http
