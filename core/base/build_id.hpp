// Which build is running: what the linker stamped into this library and into the program that uses it.
#pragma once
#include <string>

namespace chorale {

/// Hex of the GNU build ids of the program and of this library, "program-library"; "none" for one that carries no id.
std::string build_id();

}  // namespace chorale
