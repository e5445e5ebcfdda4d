#pragma once
// JSON: one value type for reading and small writing, one append-only writer for big answers.
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tarn::base {

/// A JSON value. Objects keep the order of insertion (so that stored text is stable) and are small: look-up is linear.
/// Integers stay exact in 64 bits. Copies are deep.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;
  Json(std::nullptr_t) {}      // NOLINT(google-explicit-constructor)
  Json(bool v) : value_(v) {}  // NOLINT(google-explicit-constructor)
  template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  Json(T v) : value_(static_cast<int64_t>(v)) {}        // NOLINT(google-explicit-constructor)
  Json(double v) : value_(v) {}                         // NOLINT(google-explicit-constructor)
  Json(std::string v) : value_(std::move(v)) {}         // NOLINT(google-explicit-constructor)
  Json(std::string_view v) : value_(std::string(v)) {}  // NOLINT(google-explicit-constructor)
  Json(const char* v) : value_(std::string(v)) {}       // NOLINT(google-explicit-constructor)
  Json(Array v) : value_(std::move(v)) {}               // NOLINT(google-explicit-constructor)

  static Json object(std::initializer_list<Member> members = {});
  static Json array(std::initializer_list<Json> items = {});

  /// Errors: kInvalid with the place, for anything that is not exactly one JSON value (at most 64 deep).
  static Result<Json> parse(std::string_view text);

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_number() const { return is_int() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  // Lenient readers: the default when the value is of another kind.
  bool as_bool(bool otherwise = false) const;
  int64_t as_int(int64_t otherwise = 0) const;
  double as_double(double otherwise = 0) const;
  const std::string& as_string() const;  ///< empty when not a string
  const Array& items() const;            ///< empty when not an array
  const Object& members() const;         ///< empty when not an object
  Array& items_mutable();                ///< turns null into an array

  /// The member, or a null value that lives for ever.
  const Json& operator[](std::string_view key) const;
  const Json* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Sets or replaces a member; turns null into an object. Returns *this for chains.
  Json& set(std::string_view key, Json value);
  void erase(std::string_view key);
  Json& push(Json value);
  size_t size() const;

  // Strict readers for request bodies. Errors: kInvalid naming the member.
  Result<std::string> need_string(std::string_view key) const;
  Result<int64_t> need_int(std::string_view key) const;
  /// A map of strings; absent or null gives an empty one.
  Result<std::map<std::string, std::string>> string_map(std::string_view key) const;

  std::string dump() const;
  std::string dump_pretty() const;
  bool operator==(const Json&) const = default;

 private:
  void write(std::string& out, int indent, int depth) const;
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

Json to_json(const std::map<std::string, std::string>& map);

/// Appends JSON text; commas and nesting are kept by itself. For listings where a value tree would cost.
class JsonWriter {
 public:
  JsonWriter& begin_object() {
    comma();
    out_.push_back('{');
    first_ = true;
    return *this;
  }
  JsonWriter& end_object() {
    out_.push_back('}');
    first_ = false;
    return *this;
  }
  JsonWriter& begin_array() {
    comma();
    out_.push_back('[');
    first_ = true;
    return *this;
  }
  JsonWriter& end_array() {
    out_.push_back(']');
    first_ = false;
    return *this;
  }
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool v) {
    comma();
    out_.append(v ? "true" : "false");
    return *this;
  }
  JsonWriter& value(int64_t v) {
    comma();
    out_.append(std::to_string(v));
    return *this;
  }
  JsonWriter& value(uint64_t v) {
    comma();
    out_.append(std::to_string(v));
    return *this;
  }
  JsonWriter& value(int v) { return value(static_cast<int64_t>(v)); }
  JsonWriter& raw(std::string_view json) {
    comma();
    out_.append(json);
    return *this;
  }
  std::string take() { return std::move(out_); }
  const std::string& str() const { return out_; }

 private:
  void comma() {
    if (!first_) out_.push_back(',');
    first_ = false;
  }
  std::string out_;
  bool first_ = true;
};

/// `text` in quotes with JSON escapes; invalid UTF-8 bytes become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace tarn::base

namespace tarn {
using base::Json;
}
