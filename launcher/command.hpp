// A subcommand of the program: what `chorale help` lists and main calls.
#pragma once
#include <span>
#include <string>
#include <vector>

namespace chorale {

struct Command {
  std::string name;
  std::string help;                                    // one sentence
  int (*run)(std::span<const std::string> arguments);  // the exit code; throws Error
};

/// Every command that works, in the order of the help.
const std::vector<Command>& commands();

}  // namespace chorale
