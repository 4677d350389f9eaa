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
/// Failures; each needs a communicator of its own, which is dead afterwards.
std::vector<Check> failing_checks();

}  // namespace chorale::contract
