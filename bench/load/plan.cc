#include "load/plan.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace tarn::load {
namespace {

constexpr const char* kUsage =
    "bench_load --port P --auth BASE64 [--host 127.0.0.1] [--clients C] (--seconds S [--warm S] | --count N) [--keys "
    "FILE] [--run WORD]\n"
    "           --step 'METHOD PATH' [--body TEXT | --body-bytes N] [--type CONTENT-TYPE] [--step …]\n"
    "PATH and TEXT may hold {key} (a random line of FILE), {next} (the next line), {n} (number of the operation), {u} "
    "(WORD).\n";

[[noreturn]] void refuse(const std::string& why) {
  std::fprintf(stderr, "bench_load: %s\n%s", why.c_str(), kUsage);
  std::exit(2);
}

}  // namespace

Template::Template(std::string_view text) {
  while (!text.empty()) {
    const size_t open = text.find('{');
    Kind kind = Kind::kText;
    size_t size = 0;
    if (open != std::string_view::npos) {
      const std::string_view at = text.substr(open);
      for (const auto& [word, of] : {std::pair<std::string_view, Kind>{"{key}", Kind::kKey},
                                     {"{next}", Kind::kNext},
                                     {"{n}", Kind::kNumber},
                                     {"{u}", Kind::kRun}})
        if (at.starts_with(word)) {
          kind = of;
          size = word.size();
        }
    }
    // A brace that opens no place is text: bodies are JSON.
    const size_t plain = kind != Kind::kText ? open : (open == std::string_view::npos ? text.size() : open + 1);
    if (plain > 0) parts_.push_back({Kind::kText, std::string(text.substr(0, plain))});
    if (kind != Kind::kText) parts_.push_back({kind, {}});
    text.remove_prefix(plain + size);
  }
}

bool Template::uses_next() const {
  for (const Part& part : parts_)
    if (part.kind == Kind::kNext) return true;
  return false;
}

void Template::write(std::string& out, const Values& values) const {
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Kind::kText:
        out += part.text;
        break;
      case Kind::kKey:
        out += values.random_key;
        break;
      case Kind::kNext:
        out += values.next_key;
        break;
      case Kind::kNumber:
        out += std::to_string(values.number);
        break;
      case Kind::kRun:
        out += values.run;
        break;
    }
  }
}

Plan parse_plan(int argc, char** argv) {
  Plan plan;
  const auto value = [&](int& i) -> std::string {
    if (i + 1 == argc) refuse(std::string(argv[i]) + " needs a value");
    return argv[++i];
  };
  const auto last = [&]() -> Step& {
    if (plan.steps.empty()) refuse("a body belongs to a --step before it");
    return plan.steps.back();
  };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--host")
      plan.host = value(i);
    else if (word == "--port")
      plan.port = std::atoi(value(i).c_str());
    else if (word == "--auth")
      plan.authorization = value(i);
    else if (word == "--clients")
      plan.clients = std::atoi(value(i).c_str());
    else if (word == "--seconds")
      plan.seconds = std::atof(value(i).c_str());
    else if (word == "--warm")
      plan.warm = std::atof(value(i).c_str());
    else if (word == "--count")
      plan.count = std::strtoull(value(i).c_str(), nullptr, 10);
    else if (word == "--run")
      plan.run = value(i);
    else if (word == "--keys") {
      const std::string path = value(i);
      std::ifstream file(path);
      for (std::string line; std::getline(file, line);)
        if (!line.empty()) plan.keys.push_back(line);
      if (plan.keys.empty()) refuse("no keys in '" + path + "'");
    } else if (word == "--step") {
      const std::string step = value(i);
      const size_t space = step.find(' ');
      if (space == std::string::npos) refuse("'" + step + "' is no METHOD PATH");
      plan.steps.push_back({step.substr(0, space), "application/json",
                            Template(std::string_view(step).substr(space + 1)), Template("")});
    } else if (word == "--body")
      last().body = Template(value(i));
    else if (word == "--body-bytes")
      last().body = Template(std::string(std::strtoull(value(i).c_str(), nullptr, 10), 'x'));
    else if (word == "--type")
      last().type = value(i);
    else
      refuse("unknown word '" + word + "'");
  }
  if (plan.port <= 0 || plan.steps.empty() || plan.clients < 1 || (plan.seconds <= 0 && plan.count == 0))
    refuse("port, steps, and seconds or count are needed");
  return plan;
}

}  // namespace tarn::load
