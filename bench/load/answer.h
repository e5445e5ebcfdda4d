#pragma once
// Finds the end of an HTTP/1.1 answer as its bytes come in.
#include <cstddef>
#include <string>
#include <string_view>

namespace tarn::load {

class Answer {
 public:
  enum class State { kMore, kDone, kBroken };
  /// @param buffer  all bytes of this answer so far. Nothing may follow it: one request is under way at a time.
  State look(std::string_view buffer);
  void clear() { *this = Answer(); }
  int status() const { return status_; }
  bool closes() const { return closes_; }
  std::string_view body(std::string_view buffer) const {
    return buffer.substr(head_ < buffer.size() ? head_ : buffer.size());
  }

 private:
  int status_ = 0;
  size_t head_ = 0, length_ = 0;  ///< bytes of the head; of the body
  size_t chunk_ = 0;              ///< where the next chunk begins
  bool chunked_ = false, closes_ = false;
};

}  // namespace tarn::load
