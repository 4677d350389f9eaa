// The one rule of a verdict: of all that is known of how ranks ended, what began it. For who watches a run, and for a rank that writes the
// verdict where nobody does. No files, no sockets.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <chorale/comm/control/message.hpp>

namespace chorale {

/// Why a run ended; one line of events.jsonl, which the batch script of a job reads too.
struct Verdict {
  int code = 0;
  std::string cause = {};
  int rank = -1;           // that it began with; -1: none
  std::string where = {};  // what that rank did
  std::int64_t step = 0;   // the furthest that a rank was seen in; -1: not known
};

/// How one rank ended, as far as it is known.
struct RankEnd {
  int rank = 0;
  std::string host = {};  // empty: not known
  std::int64_t process = 0;
  CauseKind kind = CauseKind::own;
  std::string cause = {};          // in its own words; empty: it left without one
  std::optional<int> code = {};    // with which it ends, by its own words
  std::optional<int> status = {};  // of its process, as waitpid gives it, where somebody has seen it
  std::int64_t memory_kills = 0;   // that its control group has counted
  int culprit = -1;                // the rank that its words name; -1: itself
  std::string culprit_where = {};  // what that rank did
  std::string where = {};          // what it did itself; empty: not known
  std::int64_t step = 0;
};

/// A rank's own trouble, or what it says of itself, comes first, then a death without a word, then what a rank saw of its peers, then what
/// only follows; of equals the first that became known. A death without a word comes last where others had waited in vain for that rank, or
/// had said so of another one before. ends: in the order in which they became known. Words that several ranks have in common are not one
/// rank's. Empty: no rank has failed.
std::optional<Verdict> verdict_of(std::span<const RankEnd> ends);

/// It was killed by SIGTERM and has said nothing: a launcher that has lost another rank ends the others so.
bool was_asked_to_end(const RankEnd& end);

/// "SIGKILL".
std::string name_of_signal(int signal);
/// "code 1", "SIGKILL"; of a status as waitpid gives it.
std::string text_of_status(int status);

}  // namespace chorale
