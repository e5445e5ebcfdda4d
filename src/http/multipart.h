#pragma once
// multipart/form-data, read part by part without holding a part in memory (RFC 7578, RFC 2046 5.1).
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/request.h"

namespace tarn::http {

/// Reads the parts in order. One thread; the reader below must outlive it.
class MultipartForm {
 public:
  struct Part {
    Headers headers;
    std::string name;                     ///< of Content-Disposition
    std::optional<std::string> filename;  ///< as sent: never a path to trust
    BodyReader* body = nullptr;           ///< valid until the next call of next()
  };

  /// From Content-Type. Errors: kInvalid when it is not multipart/form-data or has no boundary.
  static Result<MultipartForm> open(Request& request);
  MultipartForm(BodyReader& body, std::string boundary);
  ~MultipartForm();
  MultipartForm(MultipartForm&&) noexcept;
  MultipartForm& operator=(MultipartForm&&) noexcept;

  /// The next part, or nullopt after the last; skips what is left of the part before.
  /// Errors: kInvalid (not a form, or cut before its end), kTooLarge (a part's head beyond 64 KiB), those of the body.
  Result<std::optional<Part>> next();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tarn::http
