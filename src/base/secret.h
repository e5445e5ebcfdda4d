#pragma once
// A value that never reaches a log by accident.
#include <string>
#include <utility>

#include <openssl/crypto.h>

namespace tarn::base {

/// Wraps key material. There is no stream or format operator on purpose; `reveal()` is easy to find in review.
template <class T>
class Secret {
 public:
  Secret() = default;
  explicit Secret(T value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret&&) noexcept = default;
  ~Secret() {
    if constexpr (requires {
                    value_.data();
                    value_.size();
                  })
      OPENSSL_cleanse(const_cast<char*>(value_.data()), value_.size());
  }
  const T& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  T value_;
};

}  // namespace tarn::base
