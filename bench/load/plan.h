#pragma once
// What a client does, over and over: one operation is a list of requests with places to fill in.
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::load {

/// A text with {key} (a random line of the key file), {next} (the next line of it, for all clients together), {n} (the
/// operation's number), {u} (this run's word) in it.
class Template {
 public:
  explicit Template(std::string_view text);
  struct Values {
    uint64_t number = 0;
    std::string_view random_key, next_key, run;
  };
  void write(std::string& out, const Values& values) const;
  bool uses_next() const;

 private:
  enum class Kind { kText, kKey, kNext, kNumber, kRun };
  struct Part {
    Kind kind;
    std::string text;
  };
  std::vector<Part> parts_;
};

struct Step {
  std::string method, type;  ///< type: of the body's content
  Template path, body;
};

struct Plan {
  std::string host = "127.0.0.1", authorization, run;
  int port = 0, clients = 1;
  double seconds = 0, warm = 0;  ///< of the measure, and before it
  uint64_t count = 0;            ///< operations; 0: by time
  std::vector<Step> steps;
  std::vector<std::string> keys;
};

/// Ends the program with the usage when the arguments make no sense.
Plan parse_plan(int argc, char** argv);

}  // namespace tarn::load
