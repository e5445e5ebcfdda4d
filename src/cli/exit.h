#pragma once
// Exit codes: part of the interface, listed in docs/cli.md.
#include "base/result.h"

namespace tarn::cli {

constexpr int kDone = 0;
constexpr int kRefusedByServer = 1;  ///< not found, exists already, not allowed, …; in `job exec`: the command failed
constexpr int kUsage = 2;            ///< the command line or the configuration is wrong; nothing was asked of a server
constexpr int kGateRefused = 3;      ///< a gate refused, or a merge met conflicts; the destination is untouched
constexpr int kNoAnswer = 4;         ///< no server, a server's own failure, or an unknown outcome

struct ExitCode {
  int code;
  const char* meaning;
};
constexpr ExitCode kExitCodes[] = {
    {kDone, "done; in `job exec`: the job's data landed"},
    {kRefusedByServer,
     "the server refused (unknown name, taken name, missing right, …); in `job exec`: the command failed"},
    {kUsage, "the command line or the configuration is wrong; nothing was asked of a server"},
    {kGateRefused,
     "a gate refused, or a merge met conflicts; the destination is untouched; in `fsck` and `recover`: something is "
     "damaged "
     "or missing"},
    {kNoAnswer,
     "no server, a server's own failure, or an unknown outcome; in `job exec`: every failure of Tarn's side"},
};

/// The code for an error that ends a command.
int exit_code(const Error& error);

}  // namespace tarn::cli
