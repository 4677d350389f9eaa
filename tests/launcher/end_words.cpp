// Under the user's own mpirun all ranks may speak: each end is said once.
#include <catch2/catch.hpp>

#include <chorale/launcher/spawn/end_words.hpp>

using namespace chorale;

namespace {
RankEnd end_of(int rank, CauseKind kind, std::string cause, int culprit = -1) {
  return {.rank = rank, .host = "a", .kind = kind, .cause = std::move(cause), .code = 75, .culprit = culprit};
}

ToldVerdict told_of(const std::vector<RankEnd>& ends) {
  const std::optional<Verdict> verdict = verdict_of(ends);
  return {.cause = verdict->cause, .rank = verdict->rank, .code = verdict->code};
}

/// What is seen on the terminal when these are the ends of all ranks, rank 0 first.
std::vector<std::string> said(const std::vector<RankEnd>& ends) {
  const ToldVerdict told = told_of(ends);
  std::vector<std::string> out;
  for (const RankEnd& end : ends) {
    const std::string words = end.rank == 0 ? words_of_first(end, told, ends) : words_of_other(end, told);
    if (!words.empty()) out.push_back(words);
  }
  return out;
}
using Lines = std::vector<std::string>;
}  // namespace

TEST_CASE("what all ranks say alike is said once", "[launcher]") {
  const std::string text = "copies of the parameters differ after step 100: tensor '4.bias' of rank 1";
  CHECK(said({end_of(0, CauseKind::peer, text, 1), end_of(1, CauseKind::peer, text, 1), end_of(2, CauseKind::peer, text, 1)}) ==
        Lines{text});
  CHECK(said({end_of(0, CauseKind::own, "lr differs"), end_of(1, CauseKind::own, "lr differs"), end_of(2, CauseKind::own, "lr differs")}) ==
        Lines{"rank 0: lr differs"});
  CHECK(said({end_of(0, CauseKind::peer, "loss is not finite on rank 2"), end_of(1, CauseKind::peer, "loss is not finite on rank 2"),
              end_of(2, CauseKind::own, "loss is not finite on rank 2")}) == Lines{"loss is not finite on rank 2"});
}

TEST_CASE("a rank's own trouble is said by it, and by nobody else", "[launcher]") {
  CHECK(said({end_of(0, CauseKind::follows, "aborted by rank 1: no memory"), end_of(1, CauseKind::own, "no memory"),
              end_of(2, CauseKind::follows, "aborted by rank 1: no memory")}) == Lines{"rank 1: no memory"});
  CHECK(said({end_of(0, CauseKind::own, "no memory"), end_of(1, CauseKind::follows, "aborted by rank 0")}) == Lines{"rank 0: no memory"});
  CHECK(said({end_of(0, CauseKind::follows, "aborted"), end_of(1, CauseKind::own, "no memory"), end_of(2, CauseKind::own, "no file")}) ==
        Lines{"rank 1: no memory", "rank 2: no file"});
}

TEST_CASE("a death that several ranks have seen is said by rank 0", "[launcher]") {
  const std::vector<RankEnd> ends = {end_of(0, CauseKind::peer, "rank 1 has died, says rank 0", 1),
                                     {.rank = 1, .host = "a", .process = 9},
                                     end_of(2, CauseKind::peer, "rank 1 has died, says rank 2", 1)};
  CHECK(words_of_first(ends[0], told_of(ends), ends) == "rank 1 (node a, process 9) has ended: it left without a word");
  CHECK(words_of_other(ends[2], told_of(ends)).empty());
}

TEST_CASE("where no verdict comes each rank says what it knows", "[launcher]") {
  CHECK(words_of_other(end_of(1, CauseKind::peer, "rank 2 has died", 2), std::nullopt) == "rank 1: rank 2 has died");
  CHECK(words_of_first(end_of(0, CauseKind::peer, "rank 2 has died", 2), std::nullopt, {}) == "rank 0: rank 2 has died");
}

TEST_CASE("the words of a rank that is not heard of are the watcher's", "[launcher]") {
  const RankEnd silent = {
      .rank = 1, .kind = CauseKind::unheard, .cause = "rank 1 (node a) has said nothing for 2.5 s", .where = "its start"};
  const std::vector<RankEnd> ends = {silent, end_of(0, CauseKind::follows, "told to leave"),
                                     end_of(2, CauseKind::late, "waiting for rank 1", 1)};
  const auto verdict = verdict_of(ends);
  REQUIRE(verdict);
  CHECK(verdict->cause == silent.cause);
  CHECK(verdict->rank == 1);
  CHECK(verdict->code == 75);
  CHECK(verdict->where == "its start");
}
