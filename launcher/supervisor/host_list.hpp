// The hosts that a run is to use, as people write them: "a:4,b:4", "node[1-4]:8". Untrusted text: names go into the words of a command.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

struct Host {
  std::string name;
  int ranks = 1;
  bool operator==(const Host&) const = default;
};

/// How the program gets to start there: what mpirun, and who asks before it, need to say.
struct Elsewhere {
  std::string prefix = {};                 // where Open MPI is on those hosts; empty: where it is here, or where their shells find it
  std::vector<std::string> exported = {};  // names of the environment that ranks there find too, beside those that all need
};
/// Of this process's environment, in the order of their names: PATH, libraries, data and threads as far as they are set, and what is
/// exported. Throws UsageError for an exported one that is not set or is no name.
std::vector<std::string> handed_on(const Elsewhere& elsewhere);

/// Throws UsageError for what is no list of hosts, names a host twice, or stands for more than 4,096 of them.
std::vector<Host> parse_hosts(std::string_view text);
/// "a:4,b:4"
std::string hosts_text(const std::vector<Host>& hosts);
int ranks_on(const std::vector<Host>& hosts);

}  // namespace chorale
