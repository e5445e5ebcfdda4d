#include "base/json.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include <fmt/core.h>
#include <simdjson.h>

#include "base/bytes.h"

namespace tarn::base {
namespace {

constexpr int kDepthMax = 64;
const Json kNull;
const std::string kEmptyText;
const Json::Array kNoItems;
const Json::Object kNoMembers;

Result<Json> from_dom(const simdjson::dom::element& element, int depth) {
  if (depth > kDepthMax) return Error(Code::kInvalid, "json", "the JSON text is nested more than 64 deep");
  switch (element.type()) {
    case simdjson::dom::element_type::ARRAY: {
      Json::Array items;
      for (const auto item : simdjson::dom::array(element)) {
        TRY_LET(Json value, from_dom(item, depth + 1));
        items.push_back(std::move(value));
      }
      return Json(std::move(items));
    }
    case simdjson::dom::element_type::OBJECT: {
      Json object = Json::object();
      for (const auto member : simdjson::dom::object(element)) {
        TRY_LET(Json value, from_dom(member.value, depth + 1));
        object.set(member.key, std::move(value));
      }
      return object;
    }
    case simdjson::dom::element_type::INT64:
      return Json(int64_t(element));
    case simdjson::dom::element_type::UINT64: {
      const uint64_t v = uint64_t(element);
      if (v > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Json(static_cast<double>(v));
      return Json(static_cast<int64_t>(v));
    }
    case simdjson::dom::element_type::DOUBLE:
      return Json(double(element));
    case simdjson::dom::element_type::STRING:
      return Json(std::string_view(element));
    case simdjson::dom::element_type::BOOL:
      return Json(bool(element));
    case simdjson::dom::element_type::NULL_VALUE:
      return Json();
  }
  return Json();
}

}  // namespace

Json Json::object(std::initializer_list<Member> members) {
  Json j;
  j.value_ = Object(members);
  return j;
}

Json Json::array(std::initializer_list<Json> items) { return Json(Array(items)); }

Result<Json> Json::parse(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const simdjson::padded_string padded(text);
  const auto error = parser.parse(padded).get(root);
  if (error)
    return Error(Code::kInvalid, "json", std::string("the text is not valid JSON: ") + simdjson::error_message(error));
  return from_dom(root, 0);
}

bool Json::as_bool(bool otherwise) const {
  const auto* v = std::get_if<bool>(&value_);
  return v ? *v : otherwise;
}

int64_t Json::as_int(int64_t otherwise) const {
  if (const auto* v = std::get_if<int64_t>(&value_)) return *v;
  if (const auto* v = std::get_if<double>(&value_); v && std::abs(*v) < 9e18) return static_cast<int64_t>(*v);
  return otherwise;
}

double Json::as_double(double otherwise) const {
  if (const auto* v = std::get_if<double>(&value_)) return *v;
  if (const auto* v = std::get_if<int64_t>(&value_)) return static_cast<double>(*v);
  return otherwise;
}

const std::string& Json::as_string() const {
  const auto* v = std::get_if<std::string>(&value_);
  return v ? *v : kEmptyText;
}

const Json::Array& Json::items() const {
  const auto* v = std::get_if<Array>(&value_);
  return v ? *v : kNoItems;
}

const Json::Object& Json::members() const {
  const auto* v = std::get_if<Object>(&value_);
  return v ? *v : kNoMembers;
}

Json::Array& Json::items_mutable() {
  if (!is_array()) value_ = Array{};
  return std::get<Array>(value_);
}

const Json* Json::find(std::string_view key) const {
  for (const auto& [name, value] : members())
    if (name == key) return &value;
  return nullptr;
}

const Json& Json::operator[](std::string_view key) const {
  const Json* found = find(key);
  return found ? *found : kNull;
}

Json& Json::set(std::string_view key, Json value) {
  if (!is_object()) value_ = Object{};
  auto& object = std::get<Object>(value_);
  for (auto& [name, old] : object) {
    if (name == key) {
      old = std::move(value);
      return *this;
    }
  }
  object.emplace_back(std::string(key), std::move(value));
  return *this;
}

void Json::erase(std::string_view key) {
  if (auto* object = std::get_if<Object>(&value_))
    std::erase_if(*object, [&](const Member& m) { return m.first == key; });
}

Json& Json::push(Json value) {
  items_mutable().push_back(std::move(value));
  return *this;
}

size_t Json::size() const {
  if (is_array()) return items().size();
  return members().size();
}

Result<std::string> Json::need_string(std::string_view key) const {
  const Json* found = find(key);
  if (!found || !found->is_string())
    return Error(Code::kInvalid, std::string(key), fmt::format("member '{}' must be given as a string", key));
  return found->as_string();
}

Result<int64_t> Json::need_int(std::string_view key) const {
  const Json* found = find(key);
  if (!found || !found->is_int())
    return Error(Code::kInvalid, std::string(key), fmt::format("member '{}' must be given as a whole number", key));
  return found->as_int();
}

Result<std::map<std::string, std::string>> Json::string_map(std::string_view key) const {
  std::map<std::string, std::string> map;
  const Json* found = find(key);
  if (!found || found->is_null()) return map;
  if (!found->is_object())
    return Error(Code::kInvalid, std::string(key), fmt::format("member '{}' must be an object of strings", key));
  for (const auto& [name, value] : found->members()) {
    if (!value.is_string())
      return Error(Code::kInvalid, std::string(key), fmt::format("value of '{}' in '{}' must be a string", name, key));
    map[name] = value.as_string();
  }
  return map;
}

Json to_json(const std::map<std::string, std::string>& map) {
  Json object = Json::object();
  for (const auto& [key, value] : map) object.set(key, value);
  return object;
}

namespace {

/// What must not stand in a JSON string as it is, and what needs a second look (not ASCII).
enum class Class : uint8_t { kPlain, kEscape, kHigh };
constexpr auto kClasses = [] {
  std::array<Class, 256> classes{};
  for (size_t c = 0; c < 0x20; ++c) classes[c] = Class::kEscape;
  classes['"'] = classes['\\'] = Class::kEscape;
  for (size_t c = 0x80; c < 256; ++c) classes[c] = Class::kHigh;
  return classes;
}();

/// Whether eight bytes are all plain.
bool all_plain(const char* at) {
  constexpr uint64_t kOnes = 0x0101010101010101u, kTops = 0x8080808080808080u;
  uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  const uint64_t quote = word ^ (kOnes * '"'), slash = word ^ (kOnes * '\\');
  const uint64_t found =
      word | ((word - kOnes * 0x20) & ~word) | ((quote - kOnes) & ~quote) | ((slash - kOnes) & ~slash);
  return (found & kTops) == 0;
}

void append_escape(std::string& out, char c) {
  switch (c) {
    case '"':
      out.append("\\\"");
      break;
    case '\\':
      out.append("\\\\");
      break;
    case '\n':
      out.append("\\n");
      break;
    case '\r':
      out.append("\\r");
      break;
    case '\t':
      out.append("\\t");
      break;
    default:
      out.append(fmt::format("\\u{:04x}", static_cast<unsigned char>(c)));
  }
}

}  // namespace

// Whole runs of plain characters at once: listings are made of them.
void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  std::optional<bool> valid;
  size_t run = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    while (i + 8 <= text.size() && all_plain(text.data() + i)) i += 8;
    if (i == text.size()) break;
    const Class found = kClasses[static_cast<unsigned char>(text[i])];
    if (found == Class::kPlain) continue;
    if (found == Class::kHigh) {
      if (!valid) valid = is_utf8(text);
      if (*valid) continue;
    }
    out.append(text.substr(run, i - run));
    run = i + 1;
    if (found == Class::kHigh)
      out.append("\xef\xbf\xbd");
    else
      append_escape(out, text[i]);
  }
  out.append(text.substr(run));
  out.push_back('"');
}

void Json::write(std::string& out, int indent, int depth) const {
  const auto line = [&](int d) {
    if (indent > 0) {
      out.push_back('\n');
      out.append(static_cast<size_t>(indent * d), ' ');
    }
  };
  if (is_null()) {
    out.append("null");
  } else if (is_bool()) {
    out.append(as_bool() ? "true" : "false");
  } else if (is_int()) {
    out.append(std::to_string(as_int()));
  } else if (const auto* v = std::get_if<double>(&value_)) {
    out.append(std::isfinite(*v) ? fmt::format("{}", *v) : "null");
  } else if (is_string()) {
    append_json_string(out, as_string());
  } else if (is_array()) {
    out.push_back('[');
    bool first = true;
    for (const Json& item : items()) {
      if (!first) out.push_back(',');
      first = false;
      line(depth + 1);
      item.write(out, indent, depth + 1);
    }
    if (!first) line(depth);
    out.push_back(']');
  } else {
    out.push_back('{');
    bool first = true;
    for (const auto& [key, value] : members()) {
      if (!first) out.push_back(',');
      first = false;
      line(depth + 1);
      append_json_string(out, key);
      out.append(indent > 0 ? ": " : ":");
      value.write(out, indent, depth + 1);
    }
    if (!first) line(depth);
    out.push_back('}');
  }
}

std::string Json::dump() const {
  std::string out;
  write(out, 0, 0);
  return out;
}

std::string Json::dump_pretty() const {
  std::string out;
  write(out, 2, 0);
  return out;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  comma();
  append_json_string(out_, name);
  out_.push_back(':');
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  comma();
  append_json_string(out_, text);
  return *this;
}

}  // namespace tarn::base
