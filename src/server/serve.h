#pragma once
// The commands that the server binary does itself.
#include <string>
#include <vector>

namespace tarn::server {

/// `tarn serve`: runs until SIGTERM or SIGINT. @return 0; 1 could not start; 2 wrong settings; 3 stopped with requests
/// cut.
int serve(const std::vector<std::string>& arguments);
/// `tarn config`: prints every effective value with its origin. @return 0, or 2 for wrong settings.
int show_config(const std::vector<std::string>& arguments);

}  // namespace tarn::server
