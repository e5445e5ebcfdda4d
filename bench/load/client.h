#pragma once
// All connections on one epoll loop: each has one request under way, from the first byte out to the last byte in.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "load/answer.h"
#include "load/plan.h"

namespace tarn::load {

struct Outcome {
  uint64_t operations = 0, failures = 0;  ///< whole operations that began within the measured time
  double seconds = 0;
  std::vector<double> ms;                    ///< of each operation that succeeded
  std::vector<std::vector<double>> step_ms;  ///< of each request of those
  std::map<int, uint64_t> refusals;          ///< by status; 0: the connection broke
  std::string example;                       ///< the first refusal's body
};

class Driver {
 public:
  explicit Driver(const Plan& plan);
  ~Driver();
  Outcome run();

 private:
  struct Connection {
    int descriptor = -1;
    size_t step = 0, sent = 0;
    uint64_t number = 0;
    bool busy = false, measured = false;
    double began = 0, step_began = 0;
    std::vector<double> step_ms;
    std::string out, in;
    Answer answer;
  };
  bool connect(Connection& c);
  bool begin(Connection& c);  ///< the next operation; false when there is none
  void send_step(Connection& c);
  void flush(Connection& c);
  void receive(Connection& c);
  void answered(Connection& c);
  void fail(Connection& c, int status, std::string_view body);
  void close(Connection& c);

  const Plan& plan_;
  int epoll_ = -1;
  double start_ = 0, measure_from_ = 0, end_ = 0;
  uint64_t next_number_ = 0, next_key_ = 0;
  size_t running_ = 0;
  std::mt19937_64 random_{std::random_device{}()};
  std::vector<Connection> connections_;
  Outcome outcome_;
};

}  // namespace tarn::load
