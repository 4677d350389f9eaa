// All ranks' traces in one file that Perfetto and chrome://tracing open: a process a rank.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/trace.hpp>

namespace chorale {

/// Updates that a trace shows, from 1; the last is in it.
struct TraceWindow {
  std::int64_t first = 0, last = -1;
  bool is_empty() const { return last < first; }
};
/// "100:110", or "" for none. Throws UsageError.
TraceWindow parse_trace_window(const std::string& text);

/// Collective. Rank 0 writes `file`; throws IoError on every rank when it cannot.
void write_trace(Communicator& comm, const Trace& trace, const std::filesystem::path& file);

}  // namespace chorale
