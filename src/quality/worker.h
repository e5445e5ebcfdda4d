#pragma once
// The check worker: a child process that runs SQL over objects handed to it and can reach nothing else.
#include <cstddef>
#include <string>
#include <string_view>

namespace tarn::quality {

/// The descriptor on which a worker finds its channel.
constexpr int kWorkerChannel = 3;
/// Descriptors of the objects that queries of the current run may read, and of those kept for later runs. Only the
/// first kind is in DuckDB's list of allowed paths, so that one run never sees what another was given.
constexpr int kGrantBase = 96;
constexpr size_t kGrantsMax = 1900;
constexpr int kStoreBase = kGrantBase + static_cast<int>(kGrantsMax);
constexpr size_t kStoreSlots = 1900;

/// The path by which SQL names the object with grant number `index`.
std::string grant_path(size_t index);

/// Body of the child process: serves the channel until the other end is gone. `tarn --check-worker` calls it at once.
///
/// Requests, one JSON object each, one answer each (except interrupt):
///   {op: hello, library, memory_mb, threads, address_space_mb, cpu_seconds}  -> {version, lacking}
///   {op: put, slots: [n, …]} with as many files                              -> {}
///   {op: begin}                         a fresh connection without grants    -> {}
///   {op: grant, first: i, slots: [n, …]}                                     -> {}
///   {op: query, sql, rows, user}        `user`: one SELECT, output capped    -> {columns, rows} | {error}
///   {op: interrupt}                     stops the query that runs
///
/// @return the process's exit code.
int check_worker_main(int channel);

}  // namespace tarn::quality
