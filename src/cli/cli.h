#pragma once
// The door of the room: everything that `tarn` does except serving.

namespace tarn::cli {

/// Runs one command line and returns the exit code of the process (exit.h). Prints to stdout and stderr.
/// Threads: call once, from main, before other threads exist (`job exec` sets the signal mask of the process).
int run(int argc, char** argv);

}  // namespace tarn::cli
