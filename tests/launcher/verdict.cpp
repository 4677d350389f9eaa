// Rank ends in, a verdict out: which one it began with, whatever came first over the wire.
#include <catch2/catch.hpp>

#include <csignal>
#include <vector>

#include <chorale/launcher/verdict.hpp>

using namespace chorale;

namespace {
RankEnd silent(int rank, std::optional<int> status = {}) {
  return {.rank = rank, .host = "b", .process = 40 + rank, .status = status, .where = "forward of layer '2' in step 17", .step = 17};
}
RankEnd says(int rank, CauseKind kind, const std::string& text, int code = 75, int culprit = -1) {
  return {.rank = rank, .host = "a", .process = 40 + rank, .kind = kind, .cause = text, .code = code, .culprit = culprit, .step = 18};
}
}  // namespace

TEST_CASE("a rank's own trouble wins over deaths, over what peers saw and over what follows, in any order") {
  const RankEnd own = says(2, CauseKind::own, "row 3 is no number", 65), death = silent(1, SIGKILL),
                peer = says(3, CauseKind::peer, "rank 1 has died", 75, 1),
                follows = says(0, CauseKind::follows, "aborted by rank 3", 75, 3);
  std::vector<RankEnd> all = {follows, peer, death, own};
  for (int turn = 0; turn < 4; ++turn) {
    const Verdict found = *verdict_of(all);
    CHECK(found.rank == 2);
    CHECK(found.code == 65);
    CHECK(found.cause == "rank 2 (node a): row 3 is no number");
    CHECK(found.step == 18);
    std::rotate(all.begin(), all.begin() + 1, all.end());
  }
  CHECK(verdict_of(std::vector{follows, peer, death})->cause.find("rank 1 (node b, process 41) has ended: SIGKILL") == 0);
  const Verdict seen = *verdict_of(std::vector{follows, peer});
  CHECK(seen.rank == 1);
  CHECK(seen.cause == "rank 3 (node a): rank 1 has died");
  CHECK_FALSE(verdict_of({}));
}

TEST_CASE("what ranks have found of one that says it too is no death's consequence") {
  const std::string text = "copies of the parameters differ after step 8: tensor '0.weight' of rank 2";
  const RankEnd first = silent(0, SIGKILL), one = says(1, CauseKind::peer, text, 75, 2), itself = says(2, CauseKind::peer, text, 75, 2);
  for (const auto& ends : {std::vector{first, one, itself}, std::vector{itself, one, first}}) {  // mpirun has killed rank 0
    CHECK(verdict_of(ends)->cause == text);
    CHECK(verdict_of(ends)->rank == 2);
  }
  CHECK(verdict_of(std::vector{one, silent(2, SIGKILL)})->cause.find("rank 2 (node b, process 42) has ended: SIGKILL") == 0);
}

TEST_CASE("a rank that its launcher has ended is not the cause where another one was lost") {
  const RankEnd ended = silent(0, SIGTERM), lost = {.rank = 1, .status = SIGKILL};
  for (const auto& ends : {std::vector{ended, lost}, std::vector{lost, ended}}) {
    CHECK(verdict_of(ends)->rank == 1);
    CHECK(verdict_of(ends)->cause == "rank 1 has ended: SIGKILL, cause unknown, before it had a connection");
  }
  CHECK(verdict_of(std::vector{ended})->cause.find("rank 0 (node b, process 40) has ended: SIGTERM") == 0);
}

TEST_CASE("where a missing rank was is what those have seen who waited for it, not what it says when it wakes up") {
  RankEnd waited = says(0, CauseKind::late, "waiting for rank 1 (step 17)", 75, 1), itself = says(1, CauseKind::peer, waited.cause, 75, 1);
  waited.culprit_where = "forward of layer '2' in step 17", itself.culprit_where = "barrier 'gradients' #42";
  for (const auto& ends : {std::vector{itself, waited}, std::vector{waited, itself}}) {
    CHECK(verdict_of(ends)->rank == 1);
    CHECK(verdict_of(ends)->where == waited.culprit_where);
  }
  CHECK(verdict_of(std::vector{itself})->where == itself.culprit_where);
}

TEST_CASE("a foreign error that only another start may help against is the rank's own, whatever its code") {
  const Verdict found = *verdict_of(std::vector{silent(1), says(0, CauseKind::own, "the library gave up")});
  CHECK(found.rank == 0);
  CHECK(found.code == 75);
}

TEST_CASE("a death tells its signal and whether memory was short") {
  CHECK(verdict_of(std::vector{silent(3, SIGKILL)})->cause ==
        "rank 3 (node b, process 43) has ended: SIGKILL, cause unknown, last seen in forward of layer '2' in step 17");
  RankEnd starved = silent(3, SIGKILL);
  starved.memory_kills = 1;
  CHECK_THAT(verdict_of(std::vector{starved})->cause,
             Catch::Contains("SIGKILL, its memory cgroup counted an oom_kill; give it more memory"));
  starved.memory_kills = 2;
  CHECK_THAT(verdict_of(std::vector{starved})->cause, Catch::Contains("counted 2 oom_kills"));
  CHECK_THAT(verdict_of(std::vector{silent(3, SIGSEGV)})->cause, Catch::Contains("has ended: SIGSEGV, last seen"));
  CHECK_THAT(verdict_of(std::vector{silent(3, 0)})->cause, Catch::Contains("has ended: code 0, without a word"));
  CHECK_THAT(verdict_of(std::vector{silent(3)})->cause, Catch::Contains("has ended: it left without a word"));
}

TEST_CASE("a rank that went after it had been told to is not what it began with") {
  RankEnd told = silent(1, SIGKILL);
  told.kind = CauseKind::follows;
  CHECK(verdict_of(std::vector{told, says(0, CauseKind::peer, "waiting for rank 1", 75, 1)})->cause ==
        "rank 0 (node a): waiting for rank 1");
}

TEST_CASE("a rank that others had waited for in vain did not begin it by dying in the end") {
  const RankEnd late = says(0, CauseKind::late, "waiting for rank 1, its process is stopped", 75, 1), death = silent(1, SIGKILL);
  for (const auto& ends : {std::vector{late, death}, std::vector{death, late}})
    CHECK(verdict_of(ends)->cause == "rank 0 (node a): waiting for rank 1, its process is stopped");
  CHECK(verdict_of(std::vector{late, silent(2, SIGKILL)})->rank == 1);  // mpirun's doing, when the first of them leaves
  CHECK(verdict_of(std::vector{silent(2, SIGKILL), late})->rank == 2);
}

TEST_CASE("what all ranks say is not one rank's") {
  const std::string text = "loss is not finite at step 17 on rank 1";
  CHECK(verdict_of(std::vector{says(0, CauseKind::own, text, 70), says(1, CauseKind::own, text, 70)})->cause == text);
  const Verdict found = *verdict_of(std::vector{says(0, CauseKind::peer, text, 70), says(1, CauseKind::own, text, 70)});
  CHECK(found.cause == text);
  CHECK(found.rank == 1);  // the one that has it, whoever came first
  CHECK(found.code == 70);
}

TEST_CASE("where a killed rank was last is what a peer has seen of it, not what it had said before") {
  RankEnd peer = says(0, CauseKind::peer, "rank 3 (process 43) has died", 75, 3);
  CHECK_THAT(verdict_of(std::vector{silent(3, SIGKILL), peer})->cause, Catch::EndsWith("last seen in forward of layer '2' in step 17"));
  peer.culprit_where = "update in step 19";
  for (const auto& ends : {std::vector{silent(3, SIGKILL), peer}, std::vector{peer, silent(3, SIGKILL)}}) {
    const Verdict found = *verdict_of(ends);
    CHECK(found.rank == 3);
    CHECK(found.where == "update in step 19");
    CHECK_THAT(found.cause, Catch::Contains("SIGKILL") && Catch::EndsWith("last seen in update in step 19"));
  }
}
