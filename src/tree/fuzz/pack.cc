// Packs: closing, tail index, frames, a whole pack. Input: one byte that says which, then its bytes.
// Checksums are made to fit where they would keep everything else from being reached.
#include "base/hash.h"
#include "tree/detail/frame.h"
#include "tree/detail/pack_file.h"
#include "tree/fuzz/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tarn::tree;  // NOLINT
  fuzz::Input input(data, size);
  const uint8_t what = input.byte();
  if (what % 5 == 2) {
    const uint64_t pack_size = static_cast<uint64_t>(input.byte()) << (input.byte() % 56);
    static_cast<void>(detail::parse_closing(input.rest(), pack_size));
    return 0;
  }
  const std::string_view bytes = input.rest();
  switch (what % 5) {
    case 0:
      static_cast<void>(detail::check_pack(bytes, "018bcfe5-6800-7342-a469-9d8718b91a08"));
      break;
    case 1:
      if (const auto tail = detail::parse_tail(bytes)) {
        for (const auto* slots : {&tail->nodes, &tail->commits, &tail->change_sets, &tail->filters})
          static_cast<void>(detail::Tail::find(*slots, std::string(32, 'n')));
      }
      break;
    case 3: {
      std::string fitting(bytes);
      fitting += tarn::base::xxh3_128(fitting);
      static_cast<void>(detail::open_frame(fitting));
      break;
    }
    default:
      static_cast<void>(detail::read_tail(bytes, "018bcfe5-6800-7342-a469-9d8718b91a08"));
      break;
  }
  return 0;
}
