// Which build of the program runs: ranks of two builds may compute different bits although both say the same version.
#pragma once
#include <string>

namespace chorale {

/// The linker's build ids of this program and of libchorale.so, in hexadecimal; "unknown" for a part that was linked without one.
std::string build_id();

}  // namespace chorale
