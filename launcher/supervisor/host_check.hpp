// Before a start on other hosts: does each answer, does this program run there, and is it this build? The same agent that mpirun will use
// (ssh, or what its setting plm_rsh_agent says) asks.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include <chorale/launcher/supervisor/host_list.hpp>

namespace chorale {

struct HostAnswer {
  Host host;
  std::string trouble;  // empty: it is fine
};

/// All at once; each within `limit`. With the environment that ranks there will have.
std::vector<HostAnswer> ask_hosts(const std::vector<Host>& hosts, std::chrono::milliseconds limit, const Elsewhere& elsewhere = {});

/// What a remote shell is asked: runs `program` and, with a prefix, looks whether Open MPI's daemon is there.
std::string host_question(const std::string& program, const Elsewhere& elsewhere);

/// The hosts to start on. Throws UsageError that names the first host in trouble where those that are fine have fewer ranks than
/// `min_ranks`, or where another build runs there: that is never left out in silence. left_out: what was said of those.
std::vector<Host> usable_hosts(const std::vector<HostAnswer>& answers, int min_ranks, std::vector<std::string>& left_out);

/// As one word for a remote shell.
std::string quoted(const std::string& word);

}  // namespace chorale
