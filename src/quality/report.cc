#include "quality/report.h"

#include <algorithm>

#include "base/hash.h"

namespace tarn::quality {
namespace {

constexpr int kFormat = 1;

Json content(const Report& r) {
  Json counts = Json::object();
  for (const char* word : {"passed", "failed", "warned", "error", "skipped"}) counts.set(word, r.count(word));
  Json findings = Json::array();
  for (const Finding& f : r.findings) findings.push(f.to_json());
  return Json::object({{"format", kFormat},
                       {"contract", r.contract},
                       {"version", r.contract_version},
                       {"table", r.table},
                       {"passed", r.passed},
                       {"counts", std::move(counts)},
                       {"rows", r.rows},
                       {"objects", r.objects},
                       {"bytes", r.bytes},
                       {"engine", r.engine},
                       {"findings", std::move(findings)}});
}

}  // namespace

Json Finding::to_json() const {
  Json out = Json::object({{"check", check}, {"severity", severity}, {"result", result}, {"expected", expected}});
  if (!rule_id.empty()) out.set("rule", rule_id);
  if (!observed_text.empty()) out.set("observed_text", observed_text);
  if (!observed.is_null()) out.set("observed", observed);
  if (failing_rows > 0) out.set("failing_rows", failing_rows);
  if (!partition.empty()) out.set("partition", partition);
  if (!object.empty()) out.set("object", object);
  if (!missing_keys.is_null()) out.set("missing_keys", missing_keys);
  if (!sample_rows.is_null()) out.set("sample_rows", sample_rows);
  return out;
}

int64_t Report::count(std::string_view result) const {
  return std::ranges::count_if(findings, [&](const Finding& f) { return f.result == result; });
}

const Finding* Report::find(std::string_view check) const {
  const auto at = std::ranges::find(findings, check, &Finding::check);
  return at == findings.end() ? nullptr : &*at;
}

Json Report::to_json() const {
  Json out = content(*this);
  Json each = Json::array();
  for (const Finding& f : findings) each.push(f.duration_ms);
  out.set("timings", Json::object({{"total_ms", duration_ms}, {"findings_ms", std::move(each)}}));
  return out;
}

std::string Report::digest() const { return base::sha256_hex(content(*this).dump()); }

}  // namespace tarn::quality
