#include "server/serve.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "base/log.h"
#include "server/config.h"
#include "server/process.h"
#include "server/product.h"
#include "server/wiring.h"

namespace tarn::server {
namespace {

constexpr int kExitFailed = 1, kExitSettings = 2, kExitCut = 3;

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

/// Blocks the signals that end the server, in this thread and all that it starts; wait() receives them.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
  }
  int wait() {
    int number = 0;
    sigwait(&set_, &number);
    return number;
  }

 private:
  sigset_t set_;
};

Result<void> set_up_log(const Config& config) {
  base::Level level;
  if (!base::parse_level(config.text("log.level"), level))
    return Error(Code::kInvalid, "config", "log.level must be debug, info, warning or error");
  if (config.text("log.style") != "text" && config.text("log.style") != "json")
    return Error(Code::kInvalid, "config", "log.style must be text or json");
  base::configure_log(level, config.text("log.style") == "json" ? base::LogStyle::kJson : base::LogStyle::kText);
  return {};
}

bool asks_for_help(const std::vector<std::string>& arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [](const auto& a) { return a == "--help" || a == "-h"; });
}

}  // namespace

int serve(const std::vector<std::string>& arguments) {
  if (asks_for_help(arguments)) {
    say("tarn serve: runs the server (REST and S3 on one listener)\n\n" + settings_help());
    return 0;
  }
  const auto config = Config::load(base::system_disk(), arguments, environment_of_process());
  if (!config) return complain(config.error(), kExitSettings);
  if (const auto log = set_up_log(*config); !log) return complain(log.error(), kExitSettings);
  ::umask(077);  // keys, records and objects are the server's own
  EndSignals signals;
  auto house = House::build(*config);
  if (!house) return complain(house.error(), house.error().code() == Code::kInvalid ? kExitSettings : kExitFailed);

  base::log(base::Level::kInfo, "server started",
            {{"version", std::string(kVersion)}, {"url", (*house)->url()}, {"data", config->text("data")}});
  if (!(*house)->setup_token().empty())
    say(fmt::format("not set up yet: run `tarn setup`, or POST {}/api/v1/setup_lakefs\nsetup token: {}",
                    (*house)->url(), (*house)->setup_token()));
  say(fmt::format("listening on {}", (*house)->url()));

  const int number = signals.wait();
  base::log(base::Level::kInfo, "server stops", {{"signal", std::to_string(number)}});
  const bool whole = (*house)->stop();
  house->reset();
  base::log(base::Level::kInfo, "server stopped", {{"whole", whole ? "true" : "false"}});
  return whole ? 0 : kExitCut;
}

int show_config(const std::vector<std::string>& arguments) {
  if (asks_for_help(arguments)) {
    say("tarn config: prints the effective settings and where each comes from\n\n" + settings_help());
    return 0;
  }
  const auto config = Config::load(base::system_disk(), arguments, environment_of_process());
  if (!config) return complain(config.error(), kExitSettings);
  fmt::print("{}", config->table());
  return 0;
}

}  // namespace tarn::server
