// A batch that fails again and again is told from bad luck, and named.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <chorale/launcher/batch_note.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/core/base/private_folder.hpp>
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

TEST_CASE("strangers at the port do not make an end another one") {
  RepeatedEnd ends;
  const auto among = [](const char* strangers) {
    Verdict out = killed(300, 1);
    return out.cause += strangers, out;
  };
  CHECK_FALSE(ends.add(among("")));
  CHECK_FALSE(ends.add(among("; strangers: 1 connection was ended at port 4711")));
  CHECK(ends.add(among("; strangers: 12 connections were ended at port 4712")));
}

TEST_CASE("another step or a new checkpoint begins the count anew") {
  RepeatedEnd ends;
  for (const std::int64_t step : {300, 300, 310, 310}) CHECK_FALSE(ends.add(killed(step, 1)));
  ends.forget();
  CHECK_FALSE(ends.add(killed(310, 1)));
  for (int i = 0; i < 5; ++i) CHECK_FALSE(ends.add(killed(0, 1)));  // before the first step there is no batch
}

namespace {
/// A run whose attempts ended so, one line each: code, step, newest checkpoint.
struct History {
  PrivateFolder place;
  std::string run = place.path() + "/run";
  History() { std::filesystem::create_directories(run + "/checkpoints"); }
  void checkpoint(std::int64_t step) const { std::filesystem::create_directory(run + "/checkpoints/step_" + std::to_string(step)); }
  void ended(const Verdict& verdict) const { RunDirectory::append_verdict(run, verdict, "", RunDirectory::look(run)); }
  bool is_third(const Verdict& verdict) const {
    RepeatedEnd ends = RepeatedEnd::in_events_of(run);
    return ends.add(verdict);
  }
};
}  // namespace

TEST_CASE("a job that is started again counts the ends of its earlier starts") {
  History history;
  CHECK_FALSE(history.is_third(killed(300, 1)));
  history.checkpoint(200);
  history.ended(killed(300, 1));
  CHECK_FALSE(history.is_third(killed(300, 2)));
  history.ended(killed(299, 2));
  CHECK(history.is_third(killed(300, 3)));
  CHECK_FALSE(history.is_third(killed(310, 3)));
  CHECK_FALSE(history.is_third(killed(300, 3, 0)));
  history.checkpoint(250);  // of the attempt that ends now
  CHECK_FALSE(history.is_third(killed(300, 3)));
}

TEST_CASE("a checkpoint or another end between two ends begins the count anew") {
  History saved, final;
  saved.ended(killed(300, 1));
  saved.checkpoint(200);
  saved.ended(killed(300, 2));
  CHECK_FALSE(saved.is_third(killed(300, 3)));
  saved.ended(killed(300, 3));
  CHECK(saved.is_third(killed(300, 4)));
  for (int i = 0; i < 2; ++i) final.ended(killed(300, i));
  final.ended({.code = 70, .cause = "step 300 has failed 3 times", .rank = 1, .step = 300});
  CHECK_FALSE(final.is_third(killed(300, 4)));  // somebody has looked at it, and tries again
  std::ofstream(final.run + "/events.jsonl", std::ios::app) << "no line of ours\n{\"event\":\"end\"}\n";
  CHECK_NOTHROW(RepeatedEnd::in_events_of(final.run));
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
