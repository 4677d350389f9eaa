#include <chorale/launcher/supervisor/rank_ends.hpp>

#include <fmt/ranges.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>

namespace chorale {

namespace {
RankEnd end_of(const ControlHub& hub, int rank, const Surmise& surmise) {
  const RankStatus& status = hub.ranks()[static_cast<std::size_t>(rank)];
  RankEnd out = {.rank = rank,
                 .host = status.host,
                 .process = status.process,
                 .kind = status.kind,
                 .cause = status.cause,
                 .code = status.code,
                 .culprit = status.culprit,
                 .where = status.sighting.text(),
                 .step = status.sighting.step};
  // Who speaks of another rank has seen it later than the hub has: what is said and what is noted are of one moment.
  out.culprit_where = status.culprit_where;
  if (status.culprit >= 0 && out.culprit_where.empty())
    out.culprit_where = hub.ranks()[static_cast<std::size_t>(status.culprit)].sighting.text();
  if (!status.cause.empty()) return out;
  // The ranks of its node have counted; this process may be on another one.
  out.memory_kills = std::max(status.host == host_name() ? surmise.memory_kills_here : 0, hub.memory_kills_on(status.host));
  out.status = status.status;
  if (out.status) return out;
  if (const int signal = surmise.launcher_status ? signal_of_launcher(*surmise.launcher_status) : 0; signal != 0) out.status = signal;
  return out;
}
/// The launcher has lost a rank before that had a connection, and ended those that had one: nobody else knows of it.
std::optional<RankEnd> end_of_unknown(const ControlHub& hub, int launcher_status) {
  std::vector<int> awaited;
  for (std::size_t r = 0; r < hub.ranks().size(); ++r)
    if (hub.ranks()[r].state == RankStatus::State::awaited) awaited.push_back(static_cast<int>(r));
  const int signal = signal_of_launcher(launcher_status);
  if (awaited.empty() || signal == 0) return std::nullopt;
  if (awaited.size() == 1) return RankEnd{.rank = awaited[0], .status = signal};
  return RankEnd{.rank = -1,
                 .kind = CauseKind::unheard,
                 .cause = fmt::format("one of the ranks {} has ended before it had a connection: {}", fmt::join(awaited, ", "),
                                      name_of_signal(signal))};
}
}  // namespace

std::vector<RankEnd> ends_in(const ControlHub& hub, const Surmise& surmise) {
  std::vector<RankEnd> out;
  for (const int rank : hub.fallen()) out.push_back(end_of(hub, rank, surmise));
  if (surmise.launcher_status && !out.empty() && std::all_of(out.begin(), out.end(), was_asked_to_end))
    if (const auto lost = end_of_unknown(hub, *surmise.launcher_status)) out.push_back(*lost);
  return out;
}

std::string strangers_text(const ControlHub& hub) {
  if (hub.refused() == 0) return "";
  const bool is_one = hub.refused() == 1;
  return fmt::format(
      "{}{} ended at port {}, where the ranks say how they are: who had made {} did not know the run's secret, or said nothing",
      kStrangersMark, is_one ? "1 connection was" : fmt::format("{} connections were", hub.refused()), hub.port(), is_one ? "it" : "them");
}

std::string place_of(const ControlHub& hub, int rank) {
  const RankStatus& status = hub.ranks()[static_cast<std::size_t>(rank)];
  return fmt::format("rank {} (node {}, process {})", rank, status.host, status.process);
}

int signal_of_launcher(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) > 128 && WEXITSTATUS(status) < 128 + NSIG ? WEXITSTATUS(status) - 128 : 0;
}

}  // namespace chorale
