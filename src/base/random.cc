#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/result.h"

namespace tarn::base {
namespace {

class SystemRandom final : public Random {
 public:
  void fill(void* bytes, size_t count) override {
    auto* at = static_cast<unsigned char*>(bytes);
    while (count > 0) {
      const ssize_t got = getrandom(at, count, 0);
      if (got < 0 && errno == EINTR) continue;
      ENSURE(got > 0);
      at += got;
      count -= static_cast<size_t>(got);
    }
  }
};

}  // namespace

std::string Random::hex(size_t count) {
  std::string bytes(count, '\0');
  fill(bytes.data(), count);
  return to_hex(bytes);
}

Random& system_random() {
  static SystemRandom random;
  return random;
}

void SeededRandom::fill(void* bytes, size_t count) {
  auto* at = static_cast<unsigned char*>(bytes);
  while (count > 0) {
    // splitmix64: public-domain mixing constants.
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    const size_t n = count < sizeof z ? count : sizeof z;
    std::memcpy(at, &z, n);
    at += n;
    count -= n;
  }
}

}  // namespace tarn::base
