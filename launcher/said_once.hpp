// What ranks that the user's mpirun or srun has started find out before they are one: mostly all of them the same, a wrong word or a recipe
// that cannot be read.
#pragma once
#include <string>

namespace chorale {

/// An error on the terminal. Where other ranks fail alike, by rank 0 only; the others wait a moment to hear what it says.
void say_error(const std::string& text);

}  // namespace chorale
