// What the ranks of an attempt leave when it ends badly (logs/flight_rank_N.json, logs/backtrace_rank_N.txt), kept when the next one
// begins.
#pragma once
#include <filesystem>

namespace chorale {

/// Moves what lies in `run`/logs to logs/attempt_N; the folders of the newest five attempts stay. Who has the run's lock calls it, before
/// ranks open their recorders. A file that cannot be moved is left, for the recorder to remove: evidence is no reason to refuse a start.
void keep_records(const std::filesystem::path& run, int attempt) noexcept;

/// The folder with the newest flight records: `run`/logs, or the one of the last attempt that has left some; empty: there is none.
std::filesystem::path newest_records(const std::filesystem::path& run);

}  // namespace chorale
