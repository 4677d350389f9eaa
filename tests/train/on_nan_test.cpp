// A loss that is not finite on one rank: all ranks do the same at the same step.
#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>

using namespace chorale;

namespace {

struct Lines final : Log {
  std::string text;
  void write(LogLevel, std::string_view line) override { text.append(line) += "\n"; }
};

SmallRun nan_run(const std::string& policy, int nodes) {
  SmallRun run;
  run.ranks = 2, run.nodes = nodes;
  run.config.train.batch = 32;  // 7 steps an epoch
  run.config.train.epochs = 3;
  run.config.train.on_nan = policy;
  run.config.parallel.exchange = "shared";
  run.inject = {"nan@1:9"};
  return run;
}

}  // namespace

TEST_CASE("a loss that is not finite stops all ranks at that step") {
  const auto result = nan_run("stop", 1).run();
  for (const std::string& error : result.errors) CHECK_THAT(error, Catch::Contains("loss is not finite at step 9 on rank 1"));
}

TEST_CASE("when training fails inside a step every rank knows the samples of the whole batch, and of no batch elsewhere") {
  SmallRun run = nan_run("stop", 1);
  const auto stopped = run.run();
  REQUIRE(stopped.in_flight[0]);
  CHECK(stopped.in_flight[0]->step == 9);
  CHECK(stopped.in_flight[0]->samples.size() == 2);  // virtual workers
  CHECK(stopped.in_flight[0]->samples == stopped.in_flight[1]->samples);
  const Sampler sampler({.rows = 203, .batch = 32, .seed = static_cast<std::uint64_t>(run.config.train.seed)});
  Sampler same = sampler;
  const auto rows = same.rows(1, 1);  // of 7 steps an epoch, the ninth
  std::vector<std::int64_t> all = stopped.in_flight[0]->samples[0];
  all.insert(all.end(), stopped.in_flight[0]->samples[1].begin(), stopped.in_flight[0]->samples[1].end());
  CHECK(all == std::vector<std::int64_t>(rows.begin(), rows.end()));
  run.inject = {"throw@1:7:evaluate"};
  CHECK_FALSE(run.run().in_flight[1]);
  run.inject = {};
  CHECK_FALSE(run.run().in_flight[0]);
}

TEST_CASE("a step whose loss is not finite is skipped by all ranks and counted") {
  for (const int nodes : {1, 2}) {
    CAPTURE(nodes);
    Lines lines;
    SmallRun run = nan_run("skip", nodes);
    run.log = &lines;
    const auto result = run.run();
    for (const std::string& error : result.errors) CHECK(error == "");
    CHECK(result.summary.skipped_steps == 1);
    CHECK(result.summary.steps == 21);
    CHECK(result.hashes[0] == result.hashes[1]);
    CHECK_THAT(lines.text, Catch::Contains("at step 9 on rank 1") && Catch::Contains("is skipped, 1 so far"));
    run.inject = {};
    CHECK(run.run().summary.skipped_steps == 0);
    CHECK(run.run().summary.parameters_hash != result.summary.parameters_hash);
  }
}

TEST_CASE("after a loss that is not finite all ranks go back to the checkpoint with a lower rate") {
  const auto folder = std::filesystem::temp_directory_path() / ("chorale_rollback_" + std::to_string(::getpid()));
  for (const int nodes : {1, 2}) {
    for (const char* exchange : {"shared", "replicated", "sharded", "local_sgd"}) {
      CAPTURE(nodes, exchange);
      Lines lines;
      SmallRun run = nan_run("rollback", nodes);
      run.log = &lines;
      run.config.parallel.exchange = exchange;
      run.config.parallel.local_steps = 2;
      run.config.checkpoint_folder = (folder / "checkpoints").string();
      const auto result = run.run();
      for (const std::string& error : result.errors) CHECK(error == "");
      CHECK(result.summary.status == "done");
      CHECK(result.summary.rollbacks == 1);
      CHECK(result.summary.steps == 21);
      CHECK(result.hashes[0] == result.hashes[1]);
      CHECK_THAT(lines.text, Catch::Contains("to the checkpoint of step 7 with optimizer.lr = 0.0005"));
      std::filesystem::remove_all(folder);
    }
  }
}

TEST_CASE("rollbacks are counted, and the last one is followed by a stop") {
  const auto folder = std::filesystem::temp_directory_path() / ("chorale_rollbacks_" + std::to_string(::getpid()));
  SmallRun run = nan_run("rollback", 1);
  run.config.checkpoint_folder = (folder / "checkpoints").string();
  run.config.train.rollbacks = 1;
  run.inject = {"nan@1:9", "nan@0:10"};
  const auto result = run.run();
  for (const std::string& error : result.errors)
    CHECK_THAT(error, Catch::Contains("at step 10 on rank 0") && Catch::Contains("1 rollbacks are used up"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("policies that cannot be followed are refused before the first step") {
  SmallRun run = nan_run("skip", 1);
  run.config.parallel.exchange = "local_sgd";
  CHECK_THAT(run.run().errors[0], Catch::Contains("train.on_nan = skip cannot undo"));
  CHECK_THAT(nan_run("rollback", 1).run().errors[0], Catch::Contains("needs checkpoints"));
}
