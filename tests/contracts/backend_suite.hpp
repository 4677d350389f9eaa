// What every backend must keep, written once against Communicator&. Each check is called by all ranks together and throws
// Broken with a sentence when it does not hold; the callers run it over threads and under mpirun.
#pragma once
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale::contract {

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Check {
  std::string sentence;
  std::function<void(Communicator&)> run;
  int min_ranks = 1;
};

/// Verbs, types and sizes; leave the communicator usable.
std::vector<Check> working_checks();
/// Every verb over types, sizes up to 2^20 and offsets, and random sequences; leave the communicator usable.
std::vector<Check> shape_checks();
/// Ranks that come 200 ms late; leave the communicator usable.
std::vector<Check> late_checks();
/// 2^26 + 1 elements, and more than 2^31; leave the communicator usable.
std::vector<Check> large_checks();
std::vector<Check> huge_checks();
/// Failures; each needs a communicator of its own, which is dead afterwards.
std::vector<Check> failing_checks();
/// Aborts in the middle and differences between ranks, verb by verb; each needs a communicator of its own, as above.
std::vector<Check> interrupted_checks();

}  // namespace chorale::contract
