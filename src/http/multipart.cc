#include "http/multipart.h"

#include <fmt/core.h>

#include <algorithm>

namespace tarn::http {
namespace {

constexpr size_t kHeadMax = 64 * 1024;
constexpr size_t kPiece = 64 * 1024;
constexpr size_t kBoundaryMax = 200;

Error bad(std::string message) { return Error(Code::kInvalid, "form", std::move(message)); }

// The value of a parameter: name="value" (with \" inside) or name=value.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at != std::string_view::npos && at < header.size()) {
    ++at;
    while (at < header.size() && (header[at] == ' ' || header[at] == '\t')) ++at;
    const size_t equals = header.find('=', at);
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = trim(header.substr(at, equals - at));
    std::string value;
    at = equals + 1;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && at + 1 < header.size() && (header[at + 1] == '"' || header[at + 1] == '\\')) ++at;
        value.push_back(header[at]);
      }
      if (at >= header.size()) return std::nullopt;
      at = header.find(';', at);
    } else {
      const size_t end = std::min(header.find(';', at), header.size());
      value = trim(header.substr(at, end - at));
      at = end;
    }
    if (equal_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

std::string_view media_type(std::string_view header) { return trim(header.substr(0, header.find(';'))); }

}  // namespace

class MultipartForm::Impl {
 public:
  // The first delimiter has no line break before it; putting one there makes all delimiters alike.
  Impl(BodyReader& body, const std::string& boundary)
      : body_(body), delimiter_("\r\n--" + boundary), buffer_("\r\n"), reader_(*this) {}

  Result<std::optional<Part>> next() {
    if (ended_) return std::optional<Part>();
    char waste[16 * 1024];
    for (;;) {
      TRY_LET(const size_t n, read_part(waste, sizeof waste));
      if (n == 0) break;
    }
    TRY(fill(2));
    const std::string_view tail = view().substr(0, 2);
    if (tail == "--") {
      ended_ = true;
      return std::optional<Part>();
    }
    // Blanks after a delimiter are allowed (RFC 2046, 5.1.1), then comes the end of its line.
    while (view().starts_with(" ") || view().starts_with("\t")) {
      consume(1);
      TRY(fill(2));
    }
    if (!view().starts_with("\r\n")) return bad("a boundary of the form is not followed by a line end");
    consume(2);
    in_part_ = true;
    return read_head();
  }

 private:
  class Reader final : public BodyReader {
   public:
    explicit Reader(Impl& owner) : owner_(owner) {}
    Result<size_t> read(char* buffer, size_t size) override { return owner_.read_part(buffer, size); }

   private:
    Impl& owner_;
  };

  std::string_view view() const { return std::string_view(buffer_).substr(begin_); }
  void consume(size_t n) { begin_ += n; }

  // Makes sure that `count` bytes are buffered. An end of the body before that is an error: the form has its own end.
  Result<void> fill(size_t count) {
    while (view().size() < count) {
      buffer_.erase(0, begin_);
      begin_ = 0;
      const size_t old = buffer_.size();
      buffer_.resize(old + kPiece);
      const auto n = body_.read(buffer_.data() + old, kPiece);
      buffer_.resize(old + (n ? *n : 0));
      if (!n) return n.error();
      if (*n == 0) return bad("the form ends before its last boundary");
    }
    return {};
  }

  // Bytes up to the next delimiter; at it, the delimiter is taken away and 0 returned.
  Result<size_t> read_part(char* out, size_t size) {
    if (!in_part_ || size == 0) return size_t{0};
    if (clear_ == 0) {
      TRY(fill(delimiter_.size()));
      const size_t found = view().find(delimiter_);
      if (found == 0) {
        consume(delimiter_.size());
        in_part_ = false;
        return size_t{0};
      }
      // Without a delimiter in sight the last bytes may be the begin of one.
      clear_ = found == std::string_view::npos ? view().size() - (delimiter_.size() - 1) : found;
    }
    const size_t n = view().copy(out, std::min(size, clear_));
    consume(n);
    clear_ -= n;
    return n;
  }

  Result<std::optional<Part>> read_head() {
    Part part;
    size_t total = 0;
    for (;;) {
      TRY_LET(const std::string line, read_line(kHeadMax - total));
      total += line.size() + 2;
      if (line.empty()) break;
      const size_t colon = line.find(':');
      if (colon == std::string::npos || colon == 0) return bad("a header line of a form part has no name");
      part.headers.add(trim(std::string_view(line).substr(0, colon)), trim(std::string_view(line).substr(colon + 1)));
    }
    const auto disposition = part.headers.find("Content-Disposition");
    if (!disposition || !equal_ignoring_case(media_type(*disposition), "form-data"))
      return bad("a form part has no 'Content-Disposition: form-data'");
    auto name = parameter(*disposition, "name");
    if (!name) return bad("a form part has no name");
    part.name = std::move(*name);
    part.filename = parameter(*disposition, "filename");
    part.body = &reader_;
    return std::optional<Part>(std::move(part));
  }

  Result<std::string> read_line(size_t limit) {
    for (size_t looked = 0;;) {
      const size_t end = view().find("\r\n", looked);
      if (end != std::string_view::npos && end <= limit) {
        std::string line(view().substr(0, end));
        consume(end + 2);
        return line;
      }
      if (end != std::string_view::npos || view().size() > limit)
        return Error(Code::kTooLarge, "form", "the head of a form part is larger than 64 KiB");
      looked = view().empty() ? 0 : view().size() - 1;
      TRY(fill(view().size() + 1));
    }
  }

  BodyReader& body_;
  const std::string delimiter_;
  std::string buffer_;
  size_t begin_ = 0;
  size_t clear_ = 0;     // bytes at the front that no delimiter touches
  bool in_part_ = true;  // what comes before the first delimiter counts as a part to be skipped
  bool ended_ = false;
  Reader reader_;
};

Result<MultipartForm> MultipartForm::open(Request& request) {
  const auto type = request.headers.find("Content-Type");
  if (!type || !equal_ignoring_case(media_type(*type), "multipart/form-data"))
    return bad("the body must be of type multipart/form-data");
  const auto boundary = parameter(*type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > kBoundaryMax)
    return bad("the Content-Type multipart/form-data has no usable boundary");
  return MultipartForm(*request.body, *boundary);
}

MultipartForm::MultipartForm(BodyReader& body, std::string boundary) : impl_(std::make_unique<Impl>(body, boundary)) {}
MultipartForm::~MultipartForm() = default;
MultipartForm::MultipartForm(MultipartForm&&) noexcept = default;
MultipartForm& MultipartForm::operator=(MultipartForm&&) noexcept = default;
Result<std::optional<MultipartForm::Part>> MultipartForm::next() { return impl_->next(); }

}  // namespace tarn::http
