// Domains, products, the graph.
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "base/disk.h"
#include "cli/mesh/commands.h"
#include "cli/mesh/show.h"

namespace tarn::cli::mesh {
namespace {

Result<int> add_domain(Call& call) {
  const Json body = Json::object({{"name", call.operand("NAME")}, {"owner", call.get("owner")}});
  TRY_LET(const Json made, call.api->post("/mesh/domains", body));
  if (call.out->as_json(made)) return kDone;
  call.out->line(fmt::format("domain {}, owner {}", call.operand("NAME"), call.get_or("owner", "-")));
  return kDone;
}

Result<int> list_domains(Call& call) {
  TRY_LET(const Json body, call.api->get("/mesh/domains"));
  if (call.out->as_json(body)) return kDone;
  Table table({{"DOMAIN"}, {"OWNER"}});
  for (const Json& d : items_of(body)) table.row({number_text(d["name"]), number_text(d["owner"])});
  table.print(*call.out);
  return kDone;
}

/// The YAML files of a folder as {"contracts/x.odcs.yaml": text}, without those whose path a pattern of `skip` matches.
Result<void> read_definitions(const std::string& folder, const std::string& prefix,
                              const std::vector<std::string>& skip, Json& files) {
  auto& disk = base::system_disk();
  TRY_LET(const auto names, disk.list(folder));
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}", folder, name);
    const std::string inside = prefix + name;
    if (std::any_of(skip.begin(), skip.end(), [&](const std::string& pattern) {
          return ::fnmatch(pattern.c_str(), inside.c_str(), FNM_PATHNAME) == 0;
        }))
      continue;
    TRY_LET(const auto info, disk.stat(path));
    if (info.is_directory) {
      if (name.front() != '.') TRY(read_definitions(path, inside + "/", skip, files));
    } else if (name.ends_with(".yaml") || name.ends_with(".yml")) {
      TRY_LET(std::string text, disk.read_all(path));
      files.set(inside, std::move(text));
    }
  }
  return {};
}

struct ProductName {
  std::string domain, name;
};

Result<ProductName> product_of(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == text.size())
    return usage_error(fmt::format("a product is written domain/name, not '{}'", text));
  return ProductName{text.substr(0, slash), text.substr(slash + 1)};
}

void print_product(Output& out, const Json& product) {
  out.line(fmt::format("{}/{}", number_text(product["domain"]), number_text(product["name"])));
  std::string incidents;
  for (const Json& i : product["open_incidents"].items())
    incidents += (incidents.empty() ? "" : ", ") + incident_text(i);
  print_fields(out,
               {{"repository", number_text(product["repository"])},
                {"owner", number_text(product["owner"])},
                {"main at", short_id(product["head"].as_string())},
                {"health", product["health"].as_string()},
                {"open incidents", incidents},
                {"definitions", product["definitions_error"].as_string()}},
               "  ");
  Table ports({{"PORT"}, {"CONTRACT"}, {"LATEST", Table::Align::kRight}, {"COMMIT"}, {"HOLDS"}});
  for (const Json& port : product["ports"].items()) {
    const Json& latest = port["latest"];
    const Json& holds = latest["holds"];
    ports.row({fmt::format("{}@{}", number_text(port["name"]), port["major"].as_int(1)),
               number_text(port["contract"]["version"]),
               latest.is_null() ? "-" : fmt::format("v{}", latest["number"].as_int()),
               short_id(latest["commit"].as_string()),
               holds.is_null() ? "" : fmt::format("{} … {}", number_text(holds["first"]), number_text(holds["last"]))});
  }
  if (!ports.empty()) ports.print(out, "  ");
  Table inputs({{"INPUT"}, {"FROM"}, {"PATH"}, {"MODE"}});
  for (const Json& input : product["inputs"].items())
    inputs.row(
        {number_text(input["name"]),
         fmt::format("{}:{}@{}", number_text(input["product"]), number_text(input["port"]), input["major"].as_int(1)),
         number_text(input["path"]), number_text(input["mode"])});
  if (!inputs.empty()) inputs.print(out, "  ");
}

Result<int> create_product(Call& call) {
  TRY_LET(const ProductName product, product_of(call.operand("PRODUCT")));
  const std::string repository = call.get_or("repo", product.domain + "-" + product.name);
  Json files = Json::object();
  if (call.has("files")) {
    std::string folder = call.get("files");
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    auto read = read_definitions(folder, "", call.all("skip"), files);
    if (!read) return usage_error(fmt::format("--files {}: {}", folder, read.error().message()));
    if (files.size() == 0)
      return usage_error(
          fmt::format("--files {} holds no YAML file{}", folder, call.has("skip") ? " that --skip leaves" : ""));
  } else if (call.has("skip")) {
    return usage_error("--skip leaves files of --files out: give --files, too");
  }
  const Json body = Json::object({{"domain", product.domain},
                                  {"name", product.name},
                                  {"repository", repository},
                                  {"storage_namespace", call.get_or("namespace", "local://" + repository)},
                                  {"owner", call.get("owner")},
                                  {"files", std::move(files)}});
  TRY_LET(const Json made, call.api->post("/mesh/products", body));
  if (call.out->as_json(made)) return kDone;
  print_product(*call.out, made);
  return kDone;
}

Result<int> describe_product(Call& call) {
  TRY_LET(const ProductName product, product_of(call.operand("PRODUCT")));
  TRY_LET(const Json body, call.api->get(path_of({"mesh", "products", product.domain, product.name})));
  if (call.out->as_json(body)) return kDone;
  print_product(*call.out, body);
  return kDone;
}

Result<int> list_products(Call& call) {
  TRY_LET(const Json body, call.api->get("/mesh/products"));
  if (call.out->as_json(body)) return kDone;
  Table table({{"PRODUCT"}, {"REPOSITORY"}, {"OWNER"}, {"PORTS"}, {"HEALTH"}});
  for (const Json& p : items_of(body)) {
    std::string ports;
    for (const Json& port : p["ports"].items())
      ports += fmt::format("{}{}@{}", ports.empty() ? "" : " ", number_text(port["name"]), port["major"].as_int(1));
    table.row({fmt::format("{}/{}", number_text(p["domain"]), number_text(p["name"])), number_text(p["repository"]),
               number_text(p["owner"]), ports, number_text(p["health"])});
  }
  table.print(*call.out);
  return kDone;
}

Result<int> graph(Call& call) {
  TRY_LET(const Json body, call.api->get("/mesh/graph"));
  if (call.out->as_json(body)) return kDone;
  if (call.has("dot")) {
    call.out->line("digraph mesh {");
    for (const Json& e : body["edges"].items())
      call.out->line(fmt::format("  \"{}\" -> \"{}\" [label=\"{}\"]", number_text(e["from"]), number_text(e["to"]),
                                 number_text(e["input"])));
    call.out->line("}");
    return kDone;
  }
  Table table({{"FROM"},
               {"PORT"},
               {"TO"},
               {"INPUT"},
               {"MODE"},
               {"PIN", Table::Align::kRight},
               {"LATEST", Table::Align::kRight}});
  for (const Json& e : body["edges"].items())
    table.row({number_text(e["from"]), fmt::format("{}@{}", number_text(e["port"]), e["major"].as_int(1)),
               number_text(e["to"]), number_text(e["input"]), number_text(e["mode"]), number_text(e["pin"]),
               number_text(e["latest"])});
  table.print(*call.out);
  return kDone;
}

}  // namespace

std::vector<Command> catalogue_commands() {
  const Operand product{"PRODUCT", "domain/name"};
  return {
      {.words = "mesh domain create",
       .summary = "Makes a domain: a team that owns products",
       .operands = {{"NAME", "the domain"}},
       .options = {{"owner", "USER", "who answers for it"}},
       .run = add_domain},
      {.words = "mesh domain list", .summary = "Lists domains", .run = list_domains},
      {.words = "mesh product create",
       .summary = "Makes a data product: its repository, a protected main, its definitions",
       .operands = {product},
       .options = {{"files", "DIR", "the folder with product.odps.yaml, contracts/, inputs.yaml, …"},
                   {"skip", "PATTERN", "a file of --files to leave out for now, like 'contracts/*@2.*'", 0, true},
                   {"repo", "REPO", "its repository (domain-name)"},
                   {"owner", "USER", "who answers for it"},
                   {"namespace", "URI", "where its objects lie (local://REPO)"}},
       .run = create_product,
       .more = "Repeating it gives the same product."},
      {.words = "mesh product list", .summary = "Lists products with their ports and health", .run = list_products},
      {.words = "mesh product describe",
       .summary = "Shows a product: ports, contracts, latest publications, inputs",
       .operands = {product},
       .run = describe_product},
      {.words = "mesh graph",
       .summary = "Shows who consumes what, pinned and latest publication",
       .options = {{"dot", "", "a graph for Graphviz"}},
       .run = graph},
  };
}

}  // namespace tarn::cli::mesh
