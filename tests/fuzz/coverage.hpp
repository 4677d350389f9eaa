// Which places of the instrumented reader an input has reached, and how often.
#pragma once
#include <cstddef>

namespace chorale::fuzz {

/// Before each input.
void forget_places();
/// After it: has it reached a pair of places, or a number of times, that none before has?
bool has_new_places();
/// Pairs of places seen so far; 0 where nothing is instrumented.
std::size_t places_seen();

}  // namespace chorale::fuzz
