#pragma once
// How fuzzers split one input into several.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tarn::tree::fuzz {

/// The input in a heap block of exactly its size, so that the sanitizer sees one byte too many.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : bytes_(new char[size]), size_(size) {
    for (size_t i = 0; i < size; ++i) bytes_[i] = static_cast<char>(data[i]);
  }
  /// The next byte, 0 at the end.
  uint8_t byte() { return at_ < size_ ? static_cast<uint8_t>(bytes_[at_++]) : uint8_t{0}; }
  std::string_view take(size_t count) {
    const size_t n = count < size_ - at_ ? count : size_ - at_;
    at_ += n;
    return {bytes_.get() + at_ - n, n};
  }
  std::string_view rest() { return take(size_); }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_, at_ = 0;
};

}  // namespace tarn::tree::fuzz
