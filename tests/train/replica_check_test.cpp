// A bit that has turned in one copy of the parameters is found at the next check.
#include "run_ranks.hpp"

#include <catch2/catch.hpp>

using namespace chorale;

namespace {

SmallRun checked_run(int ranks, int nodes, const std::string& exchange) {
  SmallRun run;
  run.ranks = ranks, run.nodes = nodes;
  run.config.train.batch = 32;
  run.config.train.epochs = 2;
  run.config.train.check_replicas = 4;
  run.config.parallel.exchange = exchange;
  run.config.parallel.local_steps = 3;
  return run;
}

}  // namespace

TEST_CASE("replicas that are equal pass every check, under every exchange") {
  for (const char* exchange : {"shared", "replicated", "sharded", "local_sgd"})
    for (const int nodes : {1, 2}) {
      CAPTURE(exchange, nodes);
      for (const std::string& error : checked_run(2, nodes, exchange).run().errors) CHECK(error == "");
    }
}

TEST_CASE("a flipped bit is found at the next check, with tensor, rank and step") {
  SmallRun run = checked_run(3, 1, "replicated");
  run.inject = {"bitflip@1:5:3.weight"};
  for (const std::string& error : run.run().errors) {
    CHECK_THAT(error, Catch::Contains("differ after step 8: tensor '") && Catch::Contains("of rank 1 ("));
    CHECK_THAT(error, Catch::Contains("2 of 3 copies agree with the latter"));
  }
}

TEST_CASE("right after the flip the very tensor is named") {
  SmallRun run = checked_run(3, 1, "replicated");
  run.inject = {"bitflip@2:4:3.weight"};
  for (const std::string& error : run.run().errors) CHECK_THAT(error, Catch::Contains("after step 4: tensor '3.weight' of rank 2 ("));
}

TEST_CASE("a flipped bit in a node's copy is found between nodes, and of two copies neither is blamed") {
  SmallRun run = checked_run(2, 2, "shared");
  run.inject = {"bitflip@1:4:0.bias"};
  for (const std::string& error : run.run().errors)
    CHECK_THAT(error, Catch::Contains("after step 4: tensor '0.bias' of rank 1 (") && Catch::Contains("cannot be told"));
}

namespace {

/// Keeps what rank 0 is warned of.
struct Warnings : SilentLog {
  std::string text;
  void write(LogLevel level, std::string_view what) override {
    if (level == LogLevel::warning) text += std::string(what) + "\n";
  }
};

}  // namespace

TEST_CASE("under local_sgd a bit that turns after an average is found there, and between evaluations too") {
  SmallRun run = checked_run(3, 1, "local_sgd");  // averages every 3 steps: step 4 is looked at in 6
  run.config.train.evaluate_every = 100;
  run.inject = {"bitflip@1:6:3.weight"};
  for (const std::string& error : run.run().errors) CHECK_THAT(error, Catch::Contains("after step 6: tensor '3.weight' of rank 1 ("));
}

TEST_CASE("under local_sgd with an outer step a bit that turns where a round begins is found at the next average") {
  SmallRun run = checked_run(3, 1, "local_sgd");
  run.config.train.evaluate_every = 100;
  run.config.parallel.outer_lr = 0.7, run.config.parallel.outer_momentum = 0.9;
  run.inject = {"bitflip@1:3:3.weight"};
  for (const std::string& error : run.run().errors) CHECK_THAT(error, Catch::Contains("after step 6: tensor '3.weight' of rank 1 ("));
}

TEST_CASE("under local_sgd a bit that turns within a round goes into the average, and the start has said so") {
  SmallRun run = checked_run(3, 1, "local_sgd");
  Warnings warnings;
  run.log = &warnings;
  run.inject = {"bitflip@1:5:3.weight"};
  const auto result = run.run();
  for (const std::string& error : result.errors) CHECK(error == "");
  CHECK(result.hashes[0] == result.hashes[1]);
  CHECK_THAT(warnings.text, Catch::Contains("between two averages goes into the average of all ranks and is not found"));
  warnings.text.clear();
  run.config.parallel.exchange = "replicated", run.inject.clear();
  run.run();
  CHECK(warnings.text.find("check_replicas") == std::string::npos);
}
