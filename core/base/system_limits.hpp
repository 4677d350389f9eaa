// What the system lets this process take, in words for errors: a failed request says what was asked for, this says who set the limit.
#pragma once
#include <cstdint>
#include <string>

namespace chorale {

/// "the limit of address space is 512.0 MB (ulimit -v), 498.1 MB of it are taken"; without one: that there is none.
std::string address_space_text();
/// "limits of threads: 64 of this user (ulimit -u), 20 in its control group (pids.max)".
std::string threads_text();
/// "the limit is 32 (ulimit -n)".
std::string files_text();
/// pids.max of the control groups that this process is in, the lowest; -1: none.
std::int64_t threads_of_group();

}  // namespace chorale
