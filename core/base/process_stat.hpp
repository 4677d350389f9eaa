// /proc/ID/stat of a process that may end at any moment.
#pragma once
#include <cstdint>
#include <string>

namespace chorale {

/// Its line; the name in brackets may hold anything, also a new line. Empty: there is no such process, or it ended while it was read
/// (ESRCH, which an istreambuf_iterator would throw).
std::string process_stat(std::int64_t process);

}  // namespace chorale
