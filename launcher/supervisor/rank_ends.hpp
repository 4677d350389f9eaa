// What a hub knows of ranks that have ended, as the rule of the verdict wants it.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/comm/control/hub.hpp>
#include <chorale/launcher/verdict.hpp>

namespace chorale {

/// What the hub's process knows beside it.
struct Surmise {
  std::int64_t memory_kills_here = 0;       // on this node
  std::optional<int> launcher_status = {};  // as waitpid gives it
};

/// In the order in which the hub heard of them.
std::vector<RankEnd> ends_in(const ControlHub& hub, const Surmise& surmise = {});

/// "rank 3 (node b, process 4711)"
std::string place_of(const ControlHub& hub, int rank);
/// "; strangers: 64 connections were ended ...": of those that were none of the ranks, since they may be why a rank could not come. Empty:
/// there were none.
std::string strangers_text(const ControlHub& hub);
/// What it begins with: behind it nothing is said of the ranks.
constexpr std::string_view kStrangersMark = "; strangers: ";

/// By which signal a rank was killed: its launcher ends with 128 + N then. 0: none, or the launcher itself was killed.
int signal_of_launcher(int status);

}  // namespace chorale
