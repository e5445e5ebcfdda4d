#pragma once
// Files that tests share with other programs: tests/data.
#include <filesystem>

namespace tarn::base::testing {

/// tests/data of the repository in or below which the program runs.
inline std::filesystem::path test_data() {
  for (std::filesystem::path at = std::filesystem::current_path(); !at.empty(); at = at.parent_path()) {
    if (std::filesystem::exists(at / "src" / "layers.txt")) return at / "tests" / "data";
    if (at == at.root_path()) break;
  }
  return "tests/data";
}

}  // namespace tarn::base::testing
