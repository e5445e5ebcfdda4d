#include "mesh/alerts.h"

#include <fmt/core.h>

namespace tarn::mesh {
namespace {

constexpr int64_t kResendMs = 30'000;
constexpr int64_t kWaitForFiringMs = 250;

/// "hourly.rowCount: 60 rows, expected >= 64.8 (2013-10-25)" for each check, at most five.
std::string summary_of(const Json& incident) {
  std::string text;
  int shown = 0;
  for (const Json& check : incident["checks"].items()) {
    if (++shown > 5) break;
    if (!text.empty()) text += "; ";
    text += fmt::format("{}: {}, expected {}", check["check"].as_string(), check["observed_text"].as_string(),
                        check["expected"].as_string());
    if (!check["partition"].as_string().empty()) text += fmt::format(" ({})", check["partition"].as_string());
  }
  return text;
}

}  // namespace

Result<Json> Alerts::add_channel(const Context& ctx, const Json& body) {
  TRY_LET(const std::string name, body.need_string("name"));
  TRY_LET(const std::string kind, body.need_string("kind"));
  TRY_LET(const std::string url, body.need_string("url"));
  TRY(versioning::check_branch_name(name));
  if (kind != "webhook" && kind != "alertmanager")
    return Error(Code::kInvalid, "channel", fmt::format("kind '{}' is not one of webhook, alertmanager", kind));
  if (url.rfind("http://", 0) != 0 && url.rfind("https://", 0) != 0)
    return Error(Code::kInvalid, "channel", "url must begin with http:// or https://");
  Json channel = Json::object({{"name", name}, {"kind", kind}, {"url", url}});
  kv::Batch batch;
  put(batch, keys::channel(name), channel);
  TRY(world_.doors.kv.apply(ctx, batch));
  return channel;
}

Result<Json> Alerts::channels(const Context& ctx) {
  TRY_LET(const auto all, world_.records.list(ctx, keys::kChannels));
  Json list = Json::array();
  for (const auto& [name, channel] : all) list.push(channel.json);
  return list;
}

Result<void> Alerts::send(const Context& ctx, const Json& channel, const Json& incident, std::string_view phase,
                          const std::string& delivery_id) {
  http::ClientRequest request;
  request.method = "POST";
  request.timeout_ms = 10'000;
  request.headers.add("content-type", "application/json");
  const std::string summary = summary_of(incident);
  if (channel["kind"].as_string() == "alertmanager") {
    request.url = channel["url"].as_string();
    while (!request.url.empty() && request.url.back() == '/') request.url.pop_back();
    if (request.url.find("/api/v2/alerts") == std::string::npos) request.url += "/api/v2/alerts";
    Json alert = Json::object(
        {{"labels",
          Json::object({{"alertname", incident["kind"].as_string() == "freshness" ? "TarnStale" : "TarnRefused"},
                        {"incident", incident["id"]},
                        {"product", incident["product"]},
                        {"repository", incident["repository"]},
                        {"severity", "error"}})},
         {"annotations", Json::object({{"summary", incident["title"]},
                                       {"checks", summary},
                                       {"snapshot", incident["snapshot"]},
                                       {"delivery_id", delivery_id}})},
         {"startsAt", incident["opened_wall"]}});
    if (phase == "resolved") alert.set("endsAt", incident["resolved_wall"]);
    request.body = Json::array({alert}).dump();
  } else {
    request.url = channel["url"].as_string();
    request.headers.add("x-tarn-delivery", delivery_id);
    Json body = incident;
    body.erase("deliveries");
    request.body =
        Json::object(
            {{"delivery_id", delivery_id}, {"status", phase}, {"summary", summary}, {"incident", std::move(body)}})
            .dump();
  }
  TRY_LET(const http::ClientResponse response, world_.doors.http.send(ctx, request));
  if (response.status < 200 || response.status > 299)
    return Error(Code::kUnavailable, "channel",
                 fmt::format("channel '{}' answered {}", channel["name"].as_string(), response.status));
  return {};
}

Result<tasks::Step> Alerts::deliver(const Context& ctx, const tasks::Task& task) {
  const int64_t number = task.input["incident"].as_int();
  const std::string channel_name = task.input["channel"].as_string(), phase = task.input["phase"].as_string();
  const std::string key = keys::delivery(number, channel_name);
  tasks::Step step;
  TRY_LET(const auto channel, world_.records.find(ctx, keys::channel(channel_name)));
  if (!channel) return step;  // the channel was taken away meanwhile
  TRY_LET(const Json incident, incidents_.get(ctx, number));
  TRY_LET(const auto known, world_.records.find(ctx, key));
  Json delivery = known ? known->json : Json::object({{"channel", channel_name}, {"kind", channel->json["kind"]}});
  const bool firing_delivered = delivery["firing"]["state"].as_string() == "delivered";
  if (phase == "resolved" && !firing_delivered) {
    step.next = tasks::Step::Next::kAgain;
    step.after_ms = kWaitForFiringMs;
    return step;
  }
  const bool repeats = channel->json["kind"].as_string() == "alertmanager" && phase == "firing";
  const bool is_open = incident["state"].as_string() == "open";
  if (phase == "firing" && firing_delivered && !is_open) return step;  // the resolved task speaks now

  const std::string delivery_id = fmt::format("{}/{}/{}", incident_name(number), channel_name, phase);
  TRY(send(ctx, channel->json, incident, phase, delivery_id));
  if (!(phase == "firing" && firing_delivered)) {
    delivery.set(phase, Json::object({{"state", "delivered"},
                                      {"id", delivery_id},
                                      {"at", base::rfc3339(world_.doors.clock.wall_ms())},
                                      {"attempts", task.attempts + 1}}));
    put_if(step.also, key, delivery, known ? known->version : 0);
  }
  if (repeats && is_open) {
    step.next = tasks::Step::Next::kAgain;
    step.after_ms = kResendMs;
  }
  return step;
}

}  // namespace tarn::mesh
