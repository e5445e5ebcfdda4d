#pragma once
// What the commands that are no client share: their environment and their last words.
#include "base/result.h"
#include "server/config.h"

namespace tarn::server {

Config::Environment environment_of_process();
/// Says the error on stderr. @return `status`.
int complain(const Error& error, int status);

}  // namespace tarn::server
