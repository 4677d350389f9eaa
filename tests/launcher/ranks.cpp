#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/spawn/run_body.hpp>

using namespace chorale;

namespace {
Surroundings machine(int cores) {
  Surroundings out;
  out.cores = cores, out.has_mpirun = true;
  return out;
}
}  // namespace

TEST_CASE("without -n there is one rank a physical core, inside an outer launcher as many as it started") {
  CHECK(plan_ranks({}, machine(6)).ranks == 6);
  Surroundings inside = machine(6);
  inside.outer_size = 3;
  CHECK(plan_ranks({}, inside).ranks == 3);
  CHECK(plan_ranks({.ranks = "3"}, inside).ranks == 3);
  CHECK_THROWS_WITH(plan_ranks({.ranks = "2"}, inside), Catch::Contains("contradicts the outer launcher, which started 3"));
  CHECK_THROWS_AS(plan_ranks({.launch = "threads"}, inside), UsageError);
}

TEST_CASE("more ranks than cores are crowded and said to be") {
  CHECK_FALSE(plan_ranks({.ranks = "2"}, machine(2)).crowded);
  const RankPlan plan = plan_ranks({.ranks = "3"}, machine(2));
  CHECK(plan.crowded);
  CHECK_FALSE(plan.note.empty());
}

TEST_CASE("OMP_NUM_THREADS is the threads of a rank where --threads is not given, and only if it is a number") {
  Surroundings around = machine(2);
  std::int64_t threads = 1;
  Option option;
  around.omp_threads = "3";
  take_omp_threads(&option, around, threads);
  CHECK(threads == 3);
  around.omp_threads = "many";
  take_omp_threads(&option, around, threads);
  CHECK(threads == 3);
  option.given = true, around.omp_threads = "5";
  take_omp_threads(&option, around, threads);
  CHECK(threads == 3);
}

TEST_CASE("a rank that follows ends with the code of the one that failed first") {
  auto comms = make_thread_communicators(2);
  const auto fails = [](Communicator&) -> int { throw DataError("rows are bad"); };
  const auto waits = [](Communicator& comm) -> int { return comm.barrier("together").wait(), 0; };
  const RankResult first = run_body(*comms[1], fails), second = run_body(*comms[0], waits);
  CHECK(first.code == static_cast<int>(ExitCode::data));
  CHECK(first.kind == CauseKind::own);
  CHECK(second.code == static_cast<int>(ExitCode::data));
  CHECK(second.kind == CauseKind::follows);
  CHECK_THAT(second.error, Catch::EndsWith("aborted by rank 1: rows are bad"));
}
