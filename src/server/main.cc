// The one program: the server, its helpers, and (for every other word) the command line tool.
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "quality/worker.h"
#include "server/serve.h"
#include "server/upkeep.h"

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  const std::vector<std::string> rest(argv + (argc > 1 ? 2 : 1), argv + argc);
  if (command == "--check-worker") return tarn::quality::check_worker_main(tarn::quality::kWorkerChannel);
  if (command == "serve") return tarn::server::serve(rest);
  if (command == "config") return tarn::server::show_config(rest);
  if (command == "recover") return tarn::server::recover(rest);
  if (command == "fsck") return tarn::server::fsck(rest);
  return tarn::cli::run(argc, argv);
}
