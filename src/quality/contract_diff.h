#pragma once
// What a new version of a contract means to those who rely on the old one.
#include <string>
#include <string_view>
#include <vector>

#include "quality/contract.h"

namespace tarn::quality {

/// A promise is a producer's contract: weakening breaks. An expectation is a consumer's: tightening breaks.
enum class Side { kPromise, kExpectation };

enum class ChangeClass { kInformational, kCompatible, kBreaking };
std::string_view word_of(ChangeClass c);  ///< "informational", "compatible", "breaking"

struct Change {
  std::string path;  ///< "hourly.origin.required", "hourly.key", "hourly.rules.day-size"
  ChangeClass kind = ChangeClass::kInformational;
  std::string before;  ///< empty when it was not there
  std::string after;   ///< empty when it is not there any more
  std::string reason;  ///< why it is of that class
};

struct ContractDiff {
  std::vector<Change> changes;  ///< in the order of the old contract, then what is new

  auto begin() const { return changes.begin(); }
  auto end() const { return changes.end(); }
  ChangeClass overall() const;
  bool breaking() const { return overall() == ChangeClass::kBreaking; }
  /// {class, needs: "major"|"minor"|"patch"|"none", changes: [{path, class, before, after, reason}]}
  Json to_json() const;
};

/// Compares two versions. Tables are matched by name, columns by name, rules by id; a renamed column is one removed and
/// one added. What cannot be compared (the text of a query, a pattern) counts as breaking. Cost: no I/O.
ContractDiff diff_contracts(const Contract& before, const Contract& after, Side side = Side::kPromise);

/// Whether the version number says what the change is: a breaking one needs a new major, as a port line of its own.
/// Errors: kInvalid listing the breaking changes and the cure.
Result<void> check_version_step(const Contract& before, const Contract& after, const ContractDiff& diff);

}  // namespace tarn::quality
