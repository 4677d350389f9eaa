// Who of the ranks says on the terminal why a run has ended, where the user's own mpirun or srun has started them and shows what each of
// them says: nothing is said twice.
#pragma once
#include <optional>
#include <span>
#include <string>

#include <chorale/launcher/verdict.hpp>

namespace chorale {

/// The verdict as the one who watches has told it to all ranks. What each of them does goes by the same words.
struct ToldVerdict {
  std::string cause;
  int rank = -1;  // that it began with
  int code = 0;
};

/// For rank 0, which speaks for all. ends: what it has heard of the others. Its own trouble in its own words; else the verdict, unless that
/// is one other rank's own trouble, which that rank says itself. Empty: it has nothing to say.
std::string words_of_first(const RankEnd& mine, const std::optional<ToldVerdict>& told, std::span<const RankEnd> ends);

/// For another rank: its own trouble where nobody else says the same; what it has seen of others only where no verdict has come, since rank
/// 0 does not speak then. Empty: it has nothing to say.
std::string words_of_other(const RankEnd& mine, const std::optional<ToldVerdict>& told);

/// "rank 2: the verdict in place of rank 0: ..."
std::string in_place_of_first(int rank, const std::string& cause);

/// By rank 0, of what another rank has written and may not reach the terminal with: it is on another node. Empty: nothing was.
std::string words_of_recorded(const std::optional<Verdict>& verdict);

/// A line on the terminal; nothing for an empty one.
void print_end(const std::string& words);

}  // namespace chorale
