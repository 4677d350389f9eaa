// A batch that fails again and again is told from bad luck, and named.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <chorale/launcher/batch_note.hpp>
#include <chorale/launcher/spawn/private_folder.hpp>
#include <chorale/launcher/supervisor/repeated_end.hpp>

using namespace chorale;

namespace {
Verdict killed(std::int64_t step, int process, int rank = 1) {
  return {.code = 75,
          .cause = "rank " + std::to_string(rank) + " (node a, process " + std::to_string(process) +
                   ") has ended: SIGKILL, cause unknown, last seen in step " + std::to_string(step),
          .rank = rank,
          .step = step};
}
}  // namespace

TEST_CASE("three ends of one step with one cause are enough, whatever the process numbers") {
  RepeatedEnd ends;
  CHECK_FALSE(ends.add(killed(300, 11)));
  CHECK_FALSE(ends.add(killed(299, 212)));
  CHECK_FALSE(ends.add(killed(300, 33, 0)));  // another rank
  CHECK(ends.add(killed(300, 4)));
  CHECK(ends.final_verdict(killed(299, 4), ".").step == 300);
}

TEST_CASE("another step or a new checkpoint begins the count anew") {
  RepeatedEnd ends;
  for (const std::int64_t step : {300, 300, 310, 310}) CHECK_FALSE(ends.add(killed(step, 1)));
  ends.forget();
  CHECK_FALSE(ends.add(killed(310, 1)));
  for (int i = 0; i < 5; ++i) CHECK_FALSE(ends.add(killed(0, 1)));  // before the first step there is no batch
}

TEST_CASE("the final verdict has code 70 and names the first samples of the batch") {
  const PrivateFolder run;
  std::filesystem::create_directory(run.path() + "/logs");
  RepeatedEnd ends;
  for (int i = 0; i < 3; ++i) ends.add(killed(300, i));
  CHECK_THAT(ends.final_verdict(killed(300, 1), run.path()).cause, Catch::Contains("No rank has lived to note"));
  write_batch_note(run.path(), {.step = 300, .samples = {{17, 4, 9}, {}, {2, 55, 1}}});
  const Verdict found = ends.final_verdict(killed(300, 1), run.path());
  CHECK(found.code == 70);
  CHECK(found.rank == 1);
  CHECK_THAT(found.cause, Catch::StartsWith("step 300 has failed 3 times") && Catch::Contains("SIGKILL") &&
                              Catch::Contains("Samples of its batch: 17, 4, 9, 2, 55, ... (6 in all, logs/batch_step_300.json)"));
  write_batch_note(run.path(), {.step = 300, .samples = {{1}}});  // what is there is left
  CHECK_THAT(samples_noted(run.path(), 300), Catch::StartsWith("17"));
  std::ofstream(batch_note_file(run.path(), 300)) << "{";
  CHECK(samples_noted(run.path(), 300).empty());
}
