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
