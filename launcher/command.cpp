#include "command.hpp"

#include <cstdio>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

int run_version(std::span<const std::string> arguments) {
  const bool json = arguments.size() == 1 && arguments[0] == "--json";
  if (!arguments.empty() && !json) throw UsageError("version takes --json only, got '" + arguments[0] + "'");
  std::printf(json ? "{\"name\": \"chorale\", \"version\": \"%s\"}\n" : "chorale %s\n", CHORALE_VERSION);
  return 0;
}

int run_help(std::span<const std::string>) {
  std::puts("usage: chorale COMMAND [ARGUMENTS]\n");
  for (const Command& command : commands()) std::printf("  %-10s %s\n", command.name.c_str(), command.help.c_str());
  return 0;
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {{"version", "Prints the version; --json as an object.", run_version},
                                           {"help", "Lists the commands.", run_help}};
  return all;
}

}  // namespace chorale
