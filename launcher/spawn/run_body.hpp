// One rank's body with its errors: the first cause ends all ranks and is printed once.
#pragma once
#include <string>

#include <chorale/comm/control/message.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/verdict.hpp>

namespace chorale {

struct RankResult {
  int code = 0;
  std::string error;  // empty: none
  CauseKind kind = CauseKind::own;
  int rank = -1;                // that the error names; -1: this one
  std::string where = {};       // the collective, "all_reduce 'grad bucket 3' #4182"
  std::string rank_where = {};  // what `rank` did, as the error has seen it; empty: not known
  bool is_foreign = false;      // no error of ours: memory, a library, what nobody has thought of; another start may help
};

/// What the exception in flight means for this rank. A rank that only follows takes the code of the one that failed first.
RankResult describe_failure();
/// The same for a rank of `comm`. Where it has a process of its own, another start may help against an error that is none of ours.
RankResult describe_failure(const Communicator& comm);

/// Never throws. After an error the communicator is aborted, so that no other rank waits.
RankResult run_body(Communicator& comm, const RankBody& body);

/// last: writes the verdict of ranks that fail; null: nobody does.
int run_threads(int ranks, const RankBody& body, LastWord* last = nullptr);
/// This process is one of the ranks.
int run_inside(const Surroundings& around, std::span<const std::string> words, const RankBody& body, const Watching& watching);

/// A rank's end for the rule of the verdict.
RankEnd end_of(int rank, const RankResult& result, Communicator& comm);

}  // namespace chorale
