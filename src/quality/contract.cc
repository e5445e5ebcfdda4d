#include "quality/contract.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

#include "base/yaml.h"
#include "quality/rules.h"

namespace tarn::quality {
namespace {

constexpr std::string_view kLogicalTypes[] = {"string", "integer",   "number", "boolean", "date",
                                              "time",   "timestamp", "object", "array"};
constexpr std::string_view kStatuses[] = {"proposed", "draft", "active", "deprecated", "retired"};
constexpr std::string_view kRootKeys[] = {"apiVersion",
                                          "kind",
                                          "id",
                                          "name",
                                          "version",
                                          "status",
                                          "domain",
                                          "tenant",
                                          "tags",
                                          "price",
                                          "support",
                                          "description",
                                          "schema",
                                          "dataProduct",
                                          "team",
                                          "roles",
                                          "servers",
                                          "authoritativeDefinitions",
                                          "quality",
                                          "slaProperties",
                                          "slaDefaultElement",
                                          "customProperties",
                                          "contractCreatedTs",
                                          "relationships"};
constexpr std::string_view kTableKeys[] = {"id",
                                           "name",
                                           "physicalName",
                                           "physicalType",
                                           "logicalType",
                                           "description",
                                           "tags",
                                           "quality",
                                           "properties",
                                           "businessName",
                                           "customProperties",
                                           "authoritativeDefinitions",
                                           "relationships",
                                           "dataGranularityDescription"};
constexpr std::string_view kColumnKeys[] = {"id",
                                            "name",
                                            "businessName",
                                            "logicalType",
                                            "physicalType",
                                            "physicalName",
                                            "description",
                                            "required",
                                            "unique",
                                            "primaryKey",
                                            "primaryKeyPosition",
                                            "partitioned",
                                            "tags",
                                            "classification",
                                            "partitionKeyPosition",
                                            "logicalTypeOptions",
                                            "quality",
                                            "examples",
                                            "customProperties",
                                            "authoritativeDefinitions",
                                            "items",
                                            "properties",
                                            "criticalDataElement",
                                            "encryptedName",
                                            "relationships",
                                            "transformLogic",
                                            "transformSourceObjects",
                                            "transformDescription"};

bool member_of(std::string_view word, const auto& words) { return std::ranges::find(words, word) != std::end(words); }

class Parser {
 public:
  explicit Parser(std::string_view file) { contract_.file = file; }

  Result<Contract> parse(std::string_view text) {
    auto parsed = base::parse_yaml(text);
    if (!parsed)
      return Error(Code::kInvalid, "contract", fmt::format("{}: {}", contract_.file, parsed.error().message()));
    contract_.document = *std::move(parsed);
    const Json& root = contract_.document;
    if (!root.is_object())
      return wrong("", "the document must be a map; an ODCS contract starts with apiVersion and kind");
    TRY(head(root));
    warn_unknown(root, "", kRootKeys);
    const Json& tables = root["schema"];
    if (!tables.is_array() || tables.items().empty())
      return wrong("schema", "at least one table with its properties must be given");
    for (size_t i = 0; i < tables.size(); ++i) TRY(table(tables.items()[i], fmt::format("schema[{}]", i)));
    if (root.has("quality"))
      return wrong("quality", "rules stand below schema (a table) or below one of its properties; move them there");
    TRY(unique_rules());
    contract_.sla = root["slaProperties"];
    contract_.team = root["team"];
    TRY(sla());
    return std::move(contract_);
  }

 private:
  Error wrong(std::string_view place, std::string_view what) const {
    return Error(Code::kInvalid, "contract",
                 place.empty() ? fmt::format("{}: {}", contract_.file, what)
                               : fmt::format("{}: {}: {}", contract_.file, place, what));
  }
  void warn(std::string_view place, std::string_view what) {
    contract_.warnings.push_back(fmt::format("{}: {}: {}", contract_.file, place, what));
  }
  void warn_unknown(const Json& object, std::string_view place, const auto& known) {
    for (const auto& [key, value] : object.members())
      if (!member_of(key, known))
        warn(place.empty() ? key : fmt::format("{}.{}", place, key), "unknown key; kept, has no effect");
  }

  Result<std::string> word(const Json& object, std::string_view key, std::string_view place) const {
    const Json& value = object[key];
    if (value.is_string() && !value.as_string().empty()) return value.as_string();
    if (value.is_number()) return value.dump();
    const std::string at = place.empty() ? std::string(key) : fmt::format("{}.{}", place, key);
    return wrong(at, "must be given, as text");
  }
  Result<bool> flag(const Json& object, std::string_view key, std::string_view place) const {
    const Json& value = object[key];
    if (value.is_null()) return false;
    if (!value.is_bool()) return wrong(fmt::format("{}.{}", place, key), "must be true or false");
    return value.as_bool();
  }

  Result<void> head(const Json& root) {
    TRY_LET(const std::string kind, word(root, "kind", ""));
    if (kind != "DataContract") return wrong("kind", fmt::format("is '{}'; expected DataContract", kind));
    TRY_LET(const std::string api, word(root, "apiVersion", ""));
    if (!api.starts_with("v3."))
      return wrong("apiVersion", fmt::format("is '{}'; known: v3.x (Bitol ODCS 3), for example v3.1.0", api));
    TRY_LET(contract_.id, word(root, "id", ""));
    TRY_LET(contract_.version, word(root, "version", ""));
    int first = 0;
    const std::string& v = contract_.version;
    const auto read = std::from_chars(v.data(), v.data() + v.size(), first);
    if (read.ec != std::errc() || (read.ptr != v.data() + v.size() && *read.ptr != '.') || first < 0)
      return wrong("version", fmt::format("is '{}'; expected a semantic version such as 1.0.0", v));
    TRY_LET(contract_.status, word(root, "status", ""));
    if (!member_of(contract_.status, kStatuses))
      warn("status", fmt::format("'{}' is not one of proposed, draft, active, deprecated, retired", contract_.status));
    contract_.name = root["name"].as_string();
    contract_.domain = root["domain"].as_string();
    contract_.data_product = root["dataProduct"].as_string();
    return {};
  }

  Result<void> table(const Json& node, const std::string& place) {
    if (!node.is_object()) return wrong(place, "a table must be a map with name and properties");
    Schema out;
    TRY_LET(out.name, word(node, "name", place));
    for (const Schema& other : contract_.schemas)
      if (other.name == out.name) return wrong(place, fmt::format("table '{}' is described twice", out.name));
    out.physical_name = node["physicalName"].as_string();
    warn_unknown(node, place, kTableKeys);
    const Json& columns = node["properties"];
    if (!columns.is_array() || columns.items().empty())
      return wrong(place + ".properties", "at least one column must be given");
    for (size_t i = 0; i < columns.size(); ++i)
      TRY(column(columns.items()[i], fmt::format("{}.properties[{}]", place, i), out));
    TRY(table_extensions(node, place, out));
    TRY(key_positions(place, out));
    const Json& rules = node["quality"];
    if (!rules.is_null() && !rules.is_array()) return wrong(place + ".quality", "must be a list of rules");
    for (size_t i = 0; i < rules.size(); ++i) {
      TRY_LET(Rule rule, this->rule(rules.items()[i], fmt::format("{}.quality[{}]", place, i), out, nullptr));
      out.rules.push_back(std::move(rule));
    }
    // Column rules are read last, when all columns of the table are known.
    for (size_t i = 0; i < columns.size(); ++i) {
      const Json& list = columns.items()[i]["quality"];
      const std::string at = fmt::format("{}.properties[{}].quality", place, i);
      if (!list.is_null() && !list.is_array()) return wrong(at, "must be a list of rules");
      for (size_t k = 0; k < list.size(); ++k) {
        TRY_LET(Rule rule, this->rule(list.items()[k], fmt::format("{}[{}]", at, k), out, &out.properties[i]));
        out.properties[i].rules.push_back(std::move(rule));
      }
    }
    contract_.schemas.push_back(std::move(out));
    return {};
  }

  Result<Rule> rule(const Json& node, const std::string& place, const Schema& schema, const Property* property) {
    auto rule = parse_rule(node, place, schema, property, contract_.warnings);
    if (!rule) return wrong(place, rule.error().message());
    return rule;
  }

  Result<void> table_extensions(const Json& node, const std::string& place, Schema& out) {
    for (const Property& p : out.properties)
      if (p.partitioned && out.partition.empty()) out.partition = p.name;
    const Json& custom = node["customProperties"];
    if (!custom.is_null() && !custom.is_array())
      return wrong(place, "customProperties must be a list of {property, value}");
    for (const Json& item : custom.items()) {
      const std::string& name = item["property"].as_string();
      const Json& value = item["value"];
      if (name == "meshPartition") {
        if (!value.is_string() || value.as_string().empty())
          return wrong(place, "meshPartition must name the Hive key of the partitions, for example date");
        out.partition = value.as_string();
      } else if (name == "meshClosed") {
        if (!value.is_bool()) return wrong(place, "meshClosed must be true or false");
        out.closed = value.as_bool();
      } else if (name.starts_with("mesh")) {
        return wrong(place, fmt::format("unknown extension '{}' of a table; known: meshPartition, meshClosed", name));
      }
    }
    return {};
  }

  Result<void> key_positions(const std::string& place, const Schema& out) {
    std::vector<int> positions;
    for (const Property& p : out.properties)
      if (p.primary_key_position > 0) positions.push_back(p.primary_key_position);
    std::ranges::sort(positions);
    for (size_t i = 0; i < positions.size(); ++i)
      if (positions[i] != static_cast<int>(i) + 1)
        return wrong(place, "primaryKeyPosition must count 1, 2, 3, … without gaps over the key's columns");
    return {};
  }

  Result<void> column(const Json& node, const std::string& place, Schema& schema) {
    if (!node.is_object()) return wrong(place, "a column must be a map with name and logicalType");
    Property out;
    TRY_LET(out.name, word(node, "name", place));
    const std::string at = fmt::format("{} ({})", place, out.name);
    if (schema.find(out.name)) return wrong(at, "the column is described twice");
    if (out.name.starts_with("tarn_")) return wrong(at, "column names that start with 'tarn_' are reserved");
    if (node.has("logicalType")) {
      TRY_LET(out.logical_type, word(node, "logicalType", at));
      if (!member_of(out.logical_type, kLogicalTypes))
        return wrong(at,
                     fmt::format("unknown logicalType '{}'; known: {}", out.logical_type, list_words(kLogicalTypes)));
    }
    out.physical_type = node["physicalType"].as_string();
    TRY_LET(out.required, flag(node, "required", at));
    TRY_LET(out.unique, flag(node, "unique", at));
    TRY_LET(out.partitioned, flag(node, "partitioned", at));
    TRY_LET(const bool key, flag(node, "primaryKey", at));
    const Json& position = node["primaryKeyPosition"];
    if (key) {
      const int64_t fallback = static_cast<int64_t>(schema.primary_key().size()) + 1;
      if (!position.is_null() && (!position.is_int() || position.as_int() == 0))
        return wrong(at, "primaryKeyPosition must be a whole number from 1");
      out.primary_key_position = static_cast<int>(position.as_int() > 0 ? position.as_int() : fallback);
    }
    out.classification = node["classification"].as_string();
    out.description = node["description"].as_string();
    out.options = node["logicalTypeOptions"];
    if (auto checked = check_options(out, at, contract_.warnings); !checked)
      return wrong(at, checked.error().message());
    for (const Json& item : node["customProperties"].items())
      if (item["property"].as_string().starts_with("mesh"))
        return wrong(at, fmt::format("unknown extension '{}' of a column; known: none", item["property"].as_string()));
    warn_unknown(node, at, kColumnKeys);
    schema.properties.push_back(std::move(out));
    return {};
  }

  Result<void> unique_rules() {
    std::vector<std::pair<std::string, std::string>> seen;
    const auto add = [&](const Rule& rule) -> Result<void> {
      for (const auto& [id, place] : seen)
        if (id == rule.id)
          return wrong(rule.place, fmt::format("rule id '{}' is already used by {}; ids must be unique", id, place));
      seen.emplace_back(rule.id, rule.place);
      return {};
    };
    for (const Schema& schema : contract_.schemas) {
      for (const Property& p : schema.properties)
        for (const Rule& rule : p.rules) TRY(add(rule));
      for (const Rule& rule : schema.rules) TRY(add(rule));
    }
    return {};
  }

  Result<void> sla() {
    if (!contract_.sla.is_null() && !contract_.sla.is_array()) return wrong("slaProperties", "must be a list");
    for (size_t i = 0; i < contract_.sla.size(); ++i) {
      const Json& item = contract_.sla.items()[i];
      const std::string place = fmt::format("slaProperties[{}]", i);
      if (!item["property"].is_string()) return wrong(place, "property must be given, for example latency");
      if (item["value"].is_null()) return wrong(place, "value must be given");
    }
    return {};
  }

  Contract contract_;
};

}  // namespace

bool Property::hidden() const {
  std::string lower = classification;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower == "pii" || lower == "restricted" || lower == "confidential" || lower == "secret" ||
         lower == "sensitive";
}

const Property* Schema::find(std::string_view column) const {
  for (const Property& p : properties)
    if (p.name == column) return &p;
  return nullptr;
}

std::vector<std::string> Schema::primary_key() const {
  std::vector<const Property*> key;
  for (const Property& p : properties)
    if (p.primary_key_position > 0) key.push_back(&p);
  std::ranges::stable_sort(key, {}, &Property::primary_key_position);
  std::vector<std::string> names;
  for (const Property* p : key) names.push_back(p->name);
  return names;
}

Result<const Schema*> Contract::schema(std::string_view table) const {
  if (table.empty() && schemas.size() == 1) return &schemas.front();
  std::string known;
  for (const Schema& s : schemas) {
    std::string_view physical = s.physical_name;
    while (physical.ends_with('/')) physical.remove_suffix(1);
    if (s.name == table || s.physical_name == table || (!physical.empty() && physical == table)) return &s;
    known += (known.empty() ? "" : ", ") + s.name;
  }
  if (schemas.size() == 1) return &schemas.front();
  return Error(Code::kInvalid, "contract",
               fmt::format("{}: no table '{}' in contract '{}'; it describes: {}", file, table, id, known));
}

int Contract::major() const {
  int first = 0;
  std::from_chars(version.data(), version.data() + version.size(), first);
  return first;
}

Json Contract::to_json() const {
  Json tables = Json::array();
  for (const Schema& s : schemas) {
    Json columns = Json::array();
    Json rules = Json::array();
    const auto add = [&rules](const Rule& rule, std::string_view column) {
      Json item =
          Json::object({{"id", rule.id}, {"expected", expected_text(rule)}, {"severity", word_of(rule.severity)}});
      if (!column.empty()) item.set("column", column);
      if (!rule.dimension.empty()) item.set("dimension", rule.dimension);
      if (!rule.description.empty()) item.set("description", rule.description);
      rules.push(std::move(item));
    };
    for (const Property& p : s.properties) {
      Json column = Json::object({{"name", p.name},
                                  {"logical_type", p.logical_type},
                                  {"physical_type", p.physical_type},
                                  {"required", p.required},
                                  {"unique", p.unique},
                                  {"primary_key_position", p.primary_key_position},
                                  {"classification", p.classification}});
      if (!p.options.is_null()) column.set("options", p.options);
      if (!p.description.empty()) column.set("description", p.description);
      columns.push(std::move(column));
      for (const Rule& rule : p.rules) add(rule, p.name);
    }
    for (const Rule& rule : s.rules) add(rule, "");
    tables.push(Json::object({{"name", s.name},
                              {"physical_name", s.physical_name},
                              {"partition", s.partition},
                              {"columns", std::move(columns)},
                              {"rules", std::move(rules)}}));
  }
  Json out = Json::object({{"id", id},
                           {"name", name},
                           {"version", version},
                           {"status", status},
                           {"domain", domain},
                           {"data_product", data_product},
                           {"tables", std::move(tables)}});
  if (!sla.is_null()) out.set("sla", sla);
  if (!team.is_null()) out.set("team", team);
  Json notes = Json::array();
  for (const std::string& w : warnings) notes.push(w);
  if (notes.size() > 0) out.set("warnings", std::move(notes));
  return out;
}

Result<Contract> parse_contract(std::string_view file, std::string_view text) { return Parser(file).parse(text); }

}  // namespace tarn::quality
