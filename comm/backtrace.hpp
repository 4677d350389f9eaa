// What every thread of this process is at, natively, into a text file.
#pragma once
#include <string_view>

#include <chorale/comm/raw_text.hpp>

namespace chorale {

/// Once before the others: loads what backtraces need, so that a handler allocates nothing.
void prepare_backtraces();
/// Replaces the file. A thread that does not answer within 0.3 s is named without its frames. One caller at a time, any thread, also a
/// signal handler.
void write_backtraces(const char* path, std::string_view reason) noexcept;
/// The same behind what has been written.
void write_backtraces(RawText& out, std::string_view reason) noexcept;

}  // namespace chorale
