#pragma once
// From method and path to a handler.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/response.h"

namespace tarn::http {

/// Built once, then read by all workers without a lock. Matching costs one step a segment; a literal beats a parameter.
class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  /// Patterns: "/repositories/{repository}/branches/{branch}". A parameter is one whole, non-empty segment, decoded
  /// once, so it may hold "%2F"; a last segment "{path*}" takes all the rest, slashes included, even nothing.
  /// The same method and pattern twice is a programmer's error.
  void add(Method method, std::string_view pattern, Handler handler);

  /// Answers what no pattern knows; the default is 404 with a JSON message.
  void set_not_found(Handler handler);

  /// Runs the handler; 404 for an unknown path, 405 with Allow for an unknown method (HEAD falls back to GET), 400 for
  /// a segment with broken percent-encoding. Sets request.path_parameters and request.route.
  Response dispatch(const Context& ctx, Request& request) const;

  struct Route {
    Method method;
    std::string pattern;
  };
  /// Every route, in the order of addition: for documentation and tests.
  const std::vector<Route>& routes() const { return routes_; }

 private:
  struct Node;
  struct Target;
  std::unique_ptr<Node> root_;
  std::vector<Route> routes_;
  Handler not_found_;
};

}  // namespace tarn::http
