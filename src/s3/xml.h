#pragma once
// XML out: appended, never built as a tree. XML in: xml_bodies.h.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/response.h"

namespace tarn::s3 {

/// XmlWriter xml("ListBucketResult"); xml.text("Name", name); xml.open("Owner") … xml.close(); xml.response().
class XmlWriter {
 public:
  enum class Namespace { kS3, kNone };
  explicit XmlWriter(std::string_view root, Namespace ns = Namespace::kS3);
  void open(std::string_view name);
  void close();
  void text(std::string_view name, std::string_view value);
  void number(std::string_view name, uint64_t value);
  void flag(std::string_view name, bool value);
  /// Closes what is open.
  std::string finish();
  http::Response response(int status = 200);

 private:
  void tag(std::string_view before, std::string_view name);
  std::string out_;
  std::vector<std::string> open_;
};

/// Escapes markup; control characters, which XML 1.0 has no form for, become numeric references as AWS writes them.
void append_escaped(std::string& out, std::string_view text);

}  // namespace tarn::s3
