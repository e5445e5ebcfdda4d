#pragma once
// Header fields of a message: in order, as received, looked up without regard to case.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::http {

struct Header {
  std::string name;   ///< as received
  std::string value;  ///< without the white space around it; never percent-decoded
};

/// Look-ups are linear: a message has at most 128 fields. Views live until the next change.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> fields) : fields_(fields) {}

  void add(std::string_view name, std::string_view value);
  /// Replaces every field of that name by one.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  /// The first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  std::vector<std::string_view> all(std::string_view name) const;
  bool has(std::string_view name) const { return find(name).has_value(); }
  size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<Header> fields_;
};

/// ASCII only, as header names and tokens are.
bool equal_ignoring_case(std::string_view a, std::string_view b);
/// Whether a comma-separated header value holds the token: "keep-alive, Upgrade".
bool has_token(std::string_view list, std::string_view token);
/// Without blanks and tabs at both ends.
std::string_view trim(std::string_view text);

}  // namespace tarn::http
