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

/// Throws UsageError for what is no list of hosts, names a host twice, or stands for more than 4,096 of them.
std::vector<Host> parse_hosts(std::string_view text);
/// "a:4,b:4"
std::string hosts_text(const std::vector<Host>& hosts);
int ranks_on(const std::vector<Host>& hosts);

}  // namespace chorale
