#pragma once
// One run of a contract's checks; private to the engine. The conductor is run(); helpers compute.
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "quality/checks.h"
#include "quality/engine.h"
#include "quality/session.h"

namespace tarn::quality {

/// Rows that a query reads: all changed ones, or those of one partition.
struct Part {
  std::string source;     ///< SQL with the tarn_ columns: a table name or a subquery
  std::string rows;       ///< SQL without them: what ${object} stands for
  std::string partition;  ///< empty for all
  int64_t total = 0;
};

class Runner {
 public:
  Runner(Engine& engine, const Context& ctx, const Contract& contract, const Schema& schema, const CheckScope& scope)
      : engine_(engine), ctx_(ctx), contract_(contract), schema_(schema), scope_(scope) {}
  Result<Report> run();

 private:
  // runner.cc: the story, what is read, and the simple checks
  Result<void> look_at_objects();
  Result<void> make_tables();
  Result<void> make_references();
  Result<void> count_together();
  void note_columns();
  Result<void> test(const Check& check);
  Finding start_finding(const Check& check) const;
  Finding readable_finding(const Check& check) const;
  Finding type_finding(const Check& check) const;
  Finding closed_finding(const Check& check) const;
  Part whole() const;
  Part part_of(const std::string& partition) const;
  std::string why_skipped(const Check& check) const;

  // measure.cc: numbers, samples
  Result<Finding> measure(const Check& check, const Part& part);
  Result<Finding> measure_count(const Check& check, const Part& part);
  Result<Finding> measure_duplicates(const Check& check, const Part& part);
  Result<Finding> measure_sql(const Check& check, const Part& part);
  Result<void> sample_count(const Check& check, const Part& part, Finding& finding);
  Result<void> explain(const Check& check, const Part& part, Json& rows);
  Result<Json> rows_as_json(const std::string& sql, bool user, int64_t rows_max);
  bool visible(const std::string& column) const;
  Result<std::string> filled(const Check& check, const std::string& sql, const Part& part);

  // baseline.cc: row counts and the partitions before
  Result<void> test_rows(const Check& check);
  Result<std::map<std::string, int64_t>> rows_by_partition(const Check& check);
  Result<Finding> judge_partition(const Check& check, const std::string& partition,
                                  const std::map<std::string, int64_t>& rows, bool& compared);
  Result<void> name_missing_keys(const Check& check, const std::string& partition,
                                 const std::vector<std::string>& before, Finding& finding);
  Result<void> make_baseline();

  /// A finding from an error of a query: kInvalid is the engine's answer, kUnavailable and kDeadline its end; others go
  /// up as errors of the run.
  Result<Finding> undecided(const Check& check, const Error& error) const;

  Engine& engine_;
  const Context& ctx_;
  const Contract& contract_;
  const Schema& schema_;
  const CheckScope& scope_;
  Report report_;
  std::unique_ptr<Session> session_;
  std::vector<Check> checks_;
  std::string hive_key_;
  std::vector<std::string> partitions_;              ///< of each changed object
  std::vector<std::optional<Footer>> footers_;       ///< of each changed object; nullopt: not readable
  std::map<size_t, std::string> unreadable_;         ///< index of the object -> why
  std::map<std::string, std::string> unusable_;      ///< column -> why values are not tested
  std::map<std::string, int64_t> partition_rows_;    ///< changed rows by partition
  std::map<std::string, int64_t> counted_;           ///< check id -> wrong rows, from the common query
  std::map<std::string, std::string> no_reference_;  ///< reference name -> why it cannot be read
  std::set<std::string> references_;                 ///< made
  std::string tables_problem_;                       ///< why no table could be made; empty when it was
  bool tables_made_ = false;
  bool baseline_made_ = false;
};

/// Reads footers of objects that the engine does not know yet. `problem` receives index -> why for those unreadable.
Result<std::vector<std::optional<Footer>>> read_footers(Engine& engine, Session& session,
                                                        const std::vector<const ObjectBytes*>& objects,
                                                        std::map<size_t, std::string>& problems);

/// Shortens an engine's message to its first line without its exception class.
std::string first_line(std::string_view message);

}  // namespace tarn::quality
