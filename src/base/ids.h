#pragma once
// Strong names: two kinds of id never mix by accident.
#include <compare>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/random.h"

namespace tarn::base {

/// A string that is only one kind of thing. `Tag` is an empty struct.
template <class Tag>
class Named {
 public:
  Named() = default;
  explicit Named(std::string text) : text_(std::move(text)) {}
  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Named&) const = default;

 private:
  std::string text_;
};

/// UUID version 7: time-ordered, 36 characters.
std::string uuid7(Clock& clock, Random& random);
/// 20 characters, base32hex, time-ordered ascending: import ids, upload ids.
std::string xid(Clock& clock, Random& random);
/// "AKIAJ" + 14 + "Q": the form that the field's clients accept as an access key id.
std::string access_key_id(Random& random);
/// 40 characters of base64.
std::string secret_access_key(Random& random);

}  // namespace tarn::base
