#pragma once
// Who gets whom: the whole server as one object.
#include <memory>
#include <string>

#include "base/context.h"
#include "server/config.h"

namespace tarn::server {

/// Lifecycle: build opens the folder and every room and starts to listen; stop drains. Threads: build and stop from
/// one.
class House {
 public:
  /// Errors: those of the folder, the stores and the listener, each with its cause and cure in the message.
  static Result<std::unique_ptr<House>> build(const Config& config);
  virtual ~House() = default;

  /// "http://127.0.0.1:8000" as bound.
  virtual const std::string& url() const = 0;
  /// The one-time token when nobody has set the server up yet; empty otherwise.
  virtual const std::string& setup_token() const = 0;
  /// Stops to accept, lets running requests and task steps finish. @return false when requests had to be cut.
  virtual bool stop() = 0;
};

}  // namespace tarn::server
