#include "http/multipart.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace tarn::http {
namespace {

// Gives a few bytes at a time, so that boundaries fall apart.
class Dripping final : public BodyReader {
 public:
  Dripping(std::string bytes, size_t step) : bytes_(std::move(bytes)), step_(step) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t n = bytes_.copy(buffer, std::min(size, step_), at_);
    at_ += n;
    return n;
  }

 private:
  std::string bytes_;
  size_t step_, at_ = 0;
};

struct Seen {
  std::string name, filename, body;
};

Result<std::vector<Seen>> read_form(const std::string& bytes, size_t step, size_t read_size = 7) {
  Dripping body(bytes, step);
  MultipartForm form(body, "b0");
  std::vector<Seen> parts;
  for (;;) {
    TRY_LET(auto part, form.next());
    if (!part) return parts;
    Seen seen{part->name, part->filename.value_or("-"), ""};
    std::string buffer(read_size, '\0');
    for (;;) {
      TRY_LET(const size_t n, part->body->read(buffer.data(), buffer.size()));
      if (n == 0) break;
      seen.body.append(buffer.data(), n);
    }
    parts.push_back(std::move(seen));
  }
}

const std::string kForm =
    "preamble\r\n--b0\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--b\r\n--b0 \t\r\n"
    "content-disposition: form-data; filename=\"q\\\"x; y.txt\"; name=content\r\nContent-Type: text/plain\r\n\r\n"
    "\r\n--\r\n--b\r\n\r\n--b0\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--b0--\r\nepilogue";

TEST(MultipartForm, GivesThePartsHoweverTheBytesFall) {
  for (size_t step = 1; step < kForm.size(); step += 1 + step / 8) {
    const auto parts = read_form(kForm, step);
    ASSERT_TRUE(parts) << step << parts.error().text();
    ASSERT_EQ(parts->size(), 3U);
    EXPECT_EQ((*parts)[0].name, "a");
    EXPECT_EQ((*parts)[0].body, "one\r\n--b");
    EXPECT_EQ((*parts)[1].name, "content");
    EXPECT_EQ((*parts)[1].filename, "q\"x; y.txt");
    EXPECT_EQ((*parts)[1].body, "\r\n--\r\n--b\r\n");
    EXPECT_EQ((*parts)[2].body, "");
  }
}

TEST(MultipartForm, SkipsWhatWasNotRead) {
  Dripping body(kForm, 5);
  MultipartForm form(body, "b0");
  for (const char* name : {"a", "content", "empty"}) EXPECT_EQ((*form.next())->name, name);
  EXPECT_FALSE(*form.next());
  EXPECT_FALSE(*form.next());
}

TEST(MultipartForm, CarriesAnyBytes) {
  base::SeededRandom random(3);
  for (int i = 0; i < 30; ++i) {
    std::string content(random.u64() % 300'000, '\0');
    random.fill(content.data(), content.size());
    const std::string bytes = "--b0\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\n" + content + "\r\n--b0--\r\n";
    const auto parts = read_form(bytes, 1 + random.u64() % 100'000, 1 + random.u64() % 70'000);
    ASSERT_TRUE(parts);
    EXPECT_EQ((*parts)[0].body, content);
  }
}

TEST(MultipartForm, ACutFormIsAnErrorAtEveryByte) {
  const size_t end = kForm.find("--b0--") + 6;
  for (size_t cut = 0; cut < end; ++cut) EXPECT_FALSE(read_form(kForm.substr(0, cut), 1000)) << cut;
  EXPECT_TRUE(read_form(kForm.substr(0, end), 1000));
}

TEST(MultipartForm, RefusesWhatIsNoForm) {
  EXPECT_FALSE(read_form("--b0\r\nContent-Type: x\r\n\r\nbody\r\n--b0--", 100));
  EXPECT_FALSE(read_form("--b0\r\nContent-Disposition: form-data\r\n\r\nbody\r\n--b0--", 100));
  EXPECT_FALSE(read_form("--b0 junk\r\nContent-Disposition: form-data; name=a\r\n\r\nbody\r\n--b0--", 100));
  const auto large = read_form(
      "--b0\r\nContent-Disposition: form-data; name=a\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n\r\n--b0--", 5000);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code(), Code::kTooLarge);
  Request request;
  StringReader nothing{std::string()};
  request.body = &nothing;
  EXPECT_FALSE(MultipartForm::open(request));
  request.headers.set("Content-Type", "multipart/form-data");
  EXPECT_FALSE(MultipartForm::open(request));
  request.headers.set("Content-Type", "multipart/form-data; charset=x; boundary=\"b0\"");
  EXPECT_TRUE(MultipartForm::open(request));
}

}  // namespace
}  // namespace tarn::http
