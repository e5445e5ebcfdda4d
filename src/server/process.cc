#include "server/process.h"

#include <fmt/core.h>
#include <unistd.h>

namespace tarn::server {

Config::Environment environment_of_process() {
  Config::Environment out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

int complain(const Error& error, int status) {
  fmt::print(stderr, "tarn: {}\n", error.message());
  return status;
}

}  // namespace tarn::server
