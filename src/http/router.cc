#include "http/router.h"

#include <fmt/core.h>

#include <array>
#include <map>

namespace tarn::http {

// Names belong to the route, not to the node: two patterns may name the same position differently.
struct Router::Target {
  std::string pattern;
  std::vector<std::string> names;
  Handler handler;
};

struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  std::unique_ptr<Node> rest;
  std::array<std::unique_ptr<Target>, kMethods> targets;

  bool ends_here() const {
    for (const auto& target : targets)
      if (target) return true;
    return false;
  }
};

namespace {

// The segment before the next '/', and what follows that slash; nullopt when the segment is the last.
std::pair<std::string_view, std::optional<std::string_view>> split_first(std::string_view path) {
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, std::nullopt};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(Method method, std::string_view pattern, Handler handler) {
  ENSURE(pattern.starts_with('/'));
  auto target = std::make_unique<Target>();
  target->pattern = pattern;
  target->handler = std::move(handler);
  Node* node = root_.get();
  std::optional<std::string_view> left = pattern.substr(1);
  while (left) {
    const auto [segment, next] = split_first(*left);
    std::unique_ptr<Node>* child = nullptr;
    if (segment.starts_with('{') && segment.ends_with("*}")) {
      ENSURE(!next);
      target->names.emplace_back(segment.substr(1, segment.size() - 3));
      child = &node->rest;
    } else if (segment.starts_with('{') && segment.ends_with('}')) {
      target->names.emplace_back(segment.substr(1, segment.size() - 2));
      child = &node->parameter;
    } else {
      child = &node->literals[std::string(segment)];
    }
    if (!*child) *child = std::make_unique<Node>();
    node = child->get();
    left = next;
  }
  auto& slot = node->targets[static_cast<size_t>(method)];
  ENSURE(slot == nullptr);
  slot = std::move(target);
  routes_.push_back({method, std::string(pattern)});
}

void Router::set_not_found(Handler handler) { not_found_ = std::move(handler); }

Response Router::dispatch(const Context& ctx, Request& request) const {
  std::vector<std::string_view> values;
  // Depth first, literals before parameters before the rest; patterns are few, so the walk back is cheap.
  const auto walk = [&](const auto& self, const Node& node, std::optional<std::string_view> left) -> const Node* {
    if (!left) return node.ends_here() ? &node : nullptr;
    const auto [segment, next] = split_first(*left);
    if (const auto it = node.literals.find(segment); it != node.literals.end())
      if (const Node* found = self(self, *it->second, next)) return found;
    if (node.parameter && !segment.empty()) {
      values.push_back(segment);
      if (const Node* found = self(self, *node.parameter, next)) return found;
      values.pop_back();
    }
    if (node.rest) {
      values.push_back(*left);
      return node.rest.get();
    }
    return nullptr;
  };
  const Node* node = nullptr;
  if (request.raw_path.starts_with('/')) node = walk(walk, *root_, std::string_view(request.raw_path).substr(1));
  if (node == nullptr) {
    if (not_found_) return not_found_(ctx, request);
    return json(404, R"({"message":"no such address on this server"})");
  }
  const Target* target = node->targets[static_cast<size_t>(request.method)].get();
  if (target == nullptr && request.method == Method::kHead)
    target = node->targets[static_cast<size_t>(Method::kGet)].get();
  if (target == nullptr) {
    std::string allow;
    for (size_t i = 0; i < kMethods; ++i) {
      if (!node->targets[i]) continue;
      if (!allow.empty()) allow += ", ";
      allow += name_of(static_cast<Method>(i));
    }
    Response response = json(
        405, fmt::format(R"({{"message":"this address does not know {}; it knows {}"}})", request.method_text, allow));
    response.headers.add("Allow", allow);
    return response;
  }
  request.route = target->pattern;
  for (size_t i = 0; i < target->names.size(); ++i) {
    auto value = percent_decode(values[i]);
    if (!value) return json(400, fmt::format(R"({{"message":"{}"}})", value.error().message()));
    request.path_parameters[target->names[i]] = std::move(*value);
  }
  return target->handler(ctx, request);
}

}  // namespace tarn::http
