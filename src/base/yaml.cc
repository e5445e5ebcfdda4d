#include "base/yaml.h"

#include <charconv>

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

namespace tarn::base {
namespace {

constexpr size_t kSizeMax = 1 << 20;
constexpr int kDepthMax = 32;

Json plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return {};
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  int64_t whole = 0;
  const char* end = text.data() + text.size();
  const char* start = text.data() + (text[0] == '+' ? 1 : 0);
  if (const auto r = std::from_chars(start, end, whole); r.ec == std::errc() && r.ptr == end) return whole;
  const bool numeric = text.find_first_not_of("0123456789.eE+-") == std::string::npos &&
                       text.find_first_of("0123456789") != std::string::npos;
  double real = 0;
  if (numeric)
    if (const auto r = std::from_chars(start, end, real); r.ec == std::errc() && r.ptr == end) return real;
  return text;
}

Result<Json> from_node(const YAML::Node& node, int depth) {
  if (depth > kDepthMax)
    return Error(Code::kInvalid, "yaml", fmt::format("line {}: nested more than 32 deep", node.Mark().line + 1));
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return Json();
    case YAML::NodeType::Scalar:
      return node.Tag() == "!" ? Json(node.Scalar()) : plain_scalar(node.Scalar());
    case YAML::NodeType::Sequence: {
      Json array = Json::array();
      for (const auto& item : node) {
        TRY_LET(Json value, from_node(item, depth + 1));
        array.push(std::move(value));
      }
      return array;
    }
    case YAML::NodeType::Map: {
      Json object = Json::object();
      for (const auto& member : node) {
        if (!member.first.IsScalar())
          return Error(Code::kInvalid, "yaml",
                       fmt::format("line {}: keys must be plain", member.first.Mark().line + 1));
        if (object.has(member.first.Scalar()))
          return Error(
              Code::kInvalid, "yaml",
              fmt::format("line {}: key '{}' is given twice", member.first.Mark().line + 1, member.first.Scalar()));
        TRY_LET(Json value, from_node(member.second, depth + 1));
        object.set(member.first.Scalar(), std::move(value));
      }
      return object;
    }
  }
  return Json();
}

/// A cheap look before the parser, whose stack grows with nesting and whose memory grows with aliases.
Result<void> screen(std::string_view text) {
  if (text.size() > kSizeMax) return Error(Code::kTooLarge, "yaml", "the YAML text is larger than 1 MiB");
  int depth = 0, deepest = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if (c == ']' || c == '}') --depth;
  }
  if (deepest > 4 * kDepthMax) return Error(Code::kInvalid, "yaml", "the YAML text is nested too deep");
  return {};
}

bool needs_quotes(const std::string& text) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ') return true;
  if (text.find_first_of(":#{}[],&*!|>'\"%@`\n\t\\") != std::string::npos) return true;
  if (text.front() == '-' || text.front() == '?' || text.front() == '=') return true;
  return !plain_scalar(text).is_string();
}

void write(std::string& out, const Json& value, int depth) {
  const std::string indent(static_cast<size_t>(depth) * 2, ' ');
  if (value.is_object() && value.size() > 0) {
    for (const auto& [key, member] : value.members()) {
      out += indent + (needs_quotes(key) ? Json(key).dump() : key) + ":";
      if ((member.is_object() || member.is_array()) && member.size() > 0) {
        out += "\n";
        write(out, member, depth + 1);
      } else {
        out += " ";
        write(out, member, 0);
        out += "\n";
      }
    }
  } else if (value.is_array() && value.size() > 0) {
    for (const Json& item : value.items()) {
      if ((item.is_object() || item.is_array()) && item.size() > 0) {
        std::string inner;
        write(inner, item, depth + 1);
        out += indent + "- " + inner.substr(indent.size() + 2);
      } else {
        out += indent + "- ";
        write(out, item, 0);
        out += "\n";
      }
    }
  } else if (value.is_string()) {
    out += needs_quotes(value.as_string()) ? value.dump() : value.as_string();
  } else {
    out += value.dump();
  }
}

}  // namespace

Result<Json> parse_yaml(std::string_view text) {
  TRY(screen(text));
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.empty()) return Json();
    if (documents.size() > 1) return Error(Code::kInvalid, "yaml", "exactly one YAML document is expected");
    return from_node(documents.front(), 0);
  } catch (const YAML::Exception& e) {
    return Error(Code::kInvalid, "yaml",
                 fmt::format("line {}, column {}: {}", e.mark.line + 1, e.mark.column + 1, e.msg));
  }
}

std::string to_yaml(const Json& value) {
  std::string out;
  write(out, value, 0);
  if (out.empty() || out.back() != '\n') out.push_back('\n');
  return out;
}

}  // namespace tarn::base
