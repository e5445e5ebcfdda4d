#pragma once
// Small helpers for tests that look at rows.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kv/store.h"

namespace tarn::kv::testing {

/// All rows that the iterator has; an error fails the test.
inline std::vector<KeyRow> drain(Iterator& rows) {
  std::vector<KeyRow> out;
  while (true) {
    auto row = rows.next();
    EXPECT_TRUE(row.ok());
    if (!row || !*row) return out;
    out.push_back(std::move(**row));
  }
}

inline std::vector<std::string> keys_of(const std::vector<KeyRow>& rows) {
  std::vector<std::string> out;
  for (const auto& row : rows) out.push_back(row.key);
  return out;
}

}  // namespace tarn::kv::testing
