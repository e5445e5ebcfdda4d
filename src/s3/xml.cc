#include "s3/xml.h"

#include <fmt/format.h>

#include <iterator>

namespace tarn::s3 {

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
          fmt::format_to(std::back_inserter(out), "&#x{:X};", static_cast<unsigned>(static_cast<unsigned char>(c)));
        else
          out += c;
    }
  }
}

XmlWriter::XmlWriter(std::string_view root, Namespace ns) {
  out_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<";
  out_ += root;
  if (ns == Namespace::kS3) out_ += " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
  out_ += '>';
  open_.emplace_back(root);
}

void XmlWriter::tag(std::string_view before, std::string_view name) {
  out_ += before;
  out_ += name;
  out_ += '>';
}

void XmlWriter::open(std::string_view name) {
  tag("<", name);
  open_.emplace_back(name);
}

void XmlWriter::close() {
  tag("</", open_.back());
  open_.pop_back();
}

void XmlWriter::text(std::string_view name, std::string_view value) {
  tag("<", name);
  append_escaped(out_, value);
  tag("</", name);
}

void XmlWriter::number(std::string_view name, uint64_t value) {
  tag("<", name);
  fmt::format_to(std::back_inserter(out_), "{}", value);
  tag("</", name);
}

void XmlWriter::flag(std::string_view name, bool value) { text(name, value ? "true" : "false"); }

std::string XmlWriter::finish() {
  while (!open_.empty()) close();
  return std::move(out_);
}

http::Response XmlWriter::response(int status) {
  http::Response out;
  out.status = status;
  out.body = finish();
  out.headers.set("Content-Type", "application/xml");
  return out;
}

}  // namespace tarn::s3
