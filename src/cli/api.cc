#include "cli/api.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/clock.h"

namespace tarn::cli {
namespace {

constexpr int kTries = 5;
constexpr int64_t kFirstPauseMs = 100;
constexpr int64_t kPageMax = 1000;

Code code_of(int status) {
  switch (status) {
    case 400:
    case 416:
      return Code::kInvalid;
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kForbidden;
    case 404:
      return Code::kNotFound;
    case 409:
      return Code::kAlreadyExists;
    case 410:
      return Code::kGone;
    case 412:
      return Code::kRefused;
    case 413:
      return Code::kTooLarge;
    case 429:
      return Code::kBusy;
    case 501:
      return Code::kUnsupported;
    case 503:
      return Code::kUnavailable;
    case 504:
      return Code::kDeadline;
    case 507:
      return Code::kNoSpace;
    default:
      return Code::kInternal;
  }
}

bool may_repeat(std::string_view method, const Result<Answer>& result) {
  if (!result) return method == "GET" && result.error().code() == Code::kUnknownOutcome;
  if (result->status == 429) return true;
  return method == "GET" && result->status == 503;
}

}  // namespace

http::Query query_of(Pairs pairs) {
  http::Query query;
  for (const auto& [name, value] : pairs)
    if (!value.empty()) query.add(name, value);
  return query;
}

std::string path_of(std::initializer_list<std::string_view> segments) {
  std::string out;
  for (const std::string_view segment : segments) out += "/" + http::percent_encode(segment);
  return out;
}

Error error_of(const Answer& answer) {
  std::string message = answer.body["message"].as_string();
  if (message.empty()) {
    message = fmt::format("the server answered {}", answer.status);
    if (!answer.text.empty()) message += ": " + answer.text.substr(0, 300);
  }
  Code code = code_of(answer.status);
  if (code == Code::kAlreadyExists && answer.body["conflicts"].size() > 0) code = Code::kMergeConflict;
  return Error(code, "server", std::move(message));
}

Result<http::ClientResponse> Api::send(http::ClientRequest request) {
  request.url = target_.server + "/api/v1" + request.url;
  if (!target_.access_key_id.empty())
    request.headers.set("Authorization",
                        "Basic " + base::to_base64(target_.access_key_id + ":" + target_.secret.reveal()));
  return client_.send(ctx_, request);
}

Result<Answer> Api::ask(std::string_view method, std::string_view path, const http::Query& query, const Json* body,
                        int64_t timeout_ms) {
  int64_t pause_ms = kFirstPauseMs;
  for (int attempt = 1;; ++attempt) {
    http::ClientRequest request;
    request.method = method;
    request.url = path;
    if (!query.empty()) request.url += "?" + http::format_query(query);
    if (body != nullptr) {
      request.body = body->dump();
      request.headers.set("Content-Type", "application/json");
    }
    request.timeout_ms = timeout_ms;
    Result<Answer> result = [&]() -> Result<Answer> {
      TRY_LET(auto response, send(std::move(request)));
      Answer answer{response.status, {}, std::move(response.body), std::move(response.headers)};
      if (auto json = Json::parse(answer.text)) answer.body = std::move(*json);
      return answer;
    }();
    if (attempt == kTries || !may_repeat(method, result)) return result;
    base::system_clock().sleep_ms(pause_ms);
    pause_ms *= 2;
  }
}

Result<Json> Api::call(std::string_view method, std::string_view path, const http::Query& query, const Json* body,
                       int64_t timeout_ms) {
  TRY_LET(Answer answer, ask(method, path, query, body, timeout_ms));
  if (!answer.ok()) return error_of(answer);
  return std::move(answer.body);
}

Result<void> Api::each(std::string_view path, const http::Query& query, int64_t amount,
                       const std::function<Result<void>(const Json&)>& each) {
  std::string after;
  for (int64_t left = amount; amount == 0 || left > 0;) {
    http::Query page = query;
    if (!after.empty()) page.add("after", after);
    page.add("amount", std::to_string(amount == 0 ? kPageMax : std::min(left, kPageMax)));
    TRY_LET(const Json body, get(path, page));
    for (const Json& item : body["results"].items()) TRY(each(item));
    left -= static_cast<int64_t>(body["results"].size());
    std::string next = body["pagination"]["next_offset"].as_string();
    if (!body["pagination"]["has_more"].as_bool() || next.empty() || next == after) return {};
    after = std::move(next);
  }
  return {};
}

Result<Json> Api::list(std::string_view path, const http::Query& query, int64_t amount) {
  Json results = Json::array();
  TRY(each(path, query, amount, [&](const Json& item) -> Result<void> {
    results.push(item);
    return {};
  }));
  const size_t count = results.size();
  return Json::object({{"pagination", Json::object({{"has_more", false}, {"next_offset", ""}, {"results", count}})},
                       {"results", std::move(results)}});
}

}  // namespace tarn::cli
