#pragma once
// Result<T>: a value or an Error. Errors are values; nothing throws between rooms (decision D7).
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tarn::base {

/// What the caller can do about a failure. A code exists only if somebody can act on it; all else is text.
enum class Code {
  kInvalid,          ///< correct the request
  kUnauthenticated,  ///< sign in
  kForbidden,        ///< ask the owner
  kNotFound,         ///< create it or look elsewhere
  kAlreadyExists,    ///< take another name
  kConflict,         ///< a precondition no longer holds: read again, retry
  kMergeConflict,    ///< two sides changed the same key: resolve, retry
  kRefused,          ///< a gate's check or hook said no: read the record named in the message
  kGone,             ///< it was there and is not any more
  kTooLarge,         ///< split it
  kUnsupported,      ///< do without
  kBusy,             ///< too many at once: retry later, with a growing pause
  kUnavailable,      ///< a store or peer does not answer: retry later
  kNoSpace,          ///< disk or quota full: make room, retry
  kDeadline,         ///< the caller's time is over
  kCancelled,        ///< the caller went away
  kCorrupt,          ///< stored bytes failed their check: stop
  kUnknownOutcome,   ///< it may have happened: look, then retry with the same idempotency key
  kInternal,         ///< report a bug
};

/// "kNotFound" and so on, for logs and tests.
std::string_view name_of(Code code);

/// Whether a failed operation can have taken effect. Only `kNotApplied` may trigger clean-up (promise G7).
enum class Outcome { kNotApplied, kUnknown };

/// `code` and `subject` (the noun that failed: "branch", "key") are the contract; `message` is for people and may
/// change.
class [[nodiscard]] Error {
 public:
  Error(Code code, std::string subject, std::string message)
      : code_(code), subject_(std::move(subject)), message_(std::move(message)) {}

  Code code() const { return code_; }
  const std::string& subject() const { return subject_; }
  const std::string& message() const { return message_; }
  Outcome outcome() const { return code_ == Code::kUnknownOutcome ? Outcome::kUnknown : Outcome::kNotApplied; }
  const Error* cause() const { return cause_.get(); }

  /// The same failure seen from one room higher; the old error becomes the cause.
  Error wrap(Code code, std::string subject, std::string message) const {
    Error outer(code, std::move(subject), std::move(message));
    outer.cause_ = std::make_shared<Error>(*this);
    return outer;
  }
  /// One line for logs: "kNotFound branch: message; because …".
  std::string text() const;

 private:
  Code code_;
  std::string subject_;
  std::string message_;
  std::shared_ptr<Error> cause_;
};

/// A value or an Error. Test with `if (r)`, then `*r` / `r.value()` or `r.error()`.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)
  template <class U>
    requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> && !std::is_same_v<std::remove_cvref_t<U>, Result<T>>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  void value() const {}
  Error& error() & { return *error_; }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

inline Result<void> ok() { return {}; }

/// Stops the process with a message: a programmer's error, checked in production too.
[[noreturn]] void fail_assertion(const char* expression, const char* file, int line);

}  // namespace tarn::base

namespace tarn {
using base::Code;
using base::Error;
using base::Result;
}  // namespace tarn

#define TARN_CAT_(a, b) a##b
#define TARN_CAT(a, b) TARN_CAT_(a, b)
/// Returns the error of a Result<void> expression to the caller.
#define TRY(...)                                                     \
  do {                                                               \
    auto tarn_try_result = (__VA_ARGS__);                            \
    if (!tarn_try_result) return std::move(tarn_try_result).error(); \
  } while (false)
#define TARN_TRY_LET_(tmp, declaration, ...) \
  auto tmp = (__VA_ARGS__);                  \
  if (!tmp) return std::move(tmp).error();   \
  declaration = std::move(tmp).value()
/// TRY_LET(const Commit head, engine.resolve(ctx, ref)); declares head, or returns the error.
#define TRY_LET(declaration, ...) TARN_TRY_LET_(TARN_CAT(tarn_try_, __COUNTER__), declaration, __VA_ARGS__)
/// A programmer's error, checked in production.
#define ENSURE(expression) \
  ((expression) ? static_cast<void>(0) : ::tarn::base::fail_assertion(#expression, __FILE__, __LINE__))
