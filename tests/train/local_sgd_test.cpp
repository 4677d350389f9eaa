#include "folder.hpp"
#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cmath>
#include <filesystem>

#include <chorale/train/exchange/local_sgd.hpp>

using namespace chorale;

namespace {

SmallRun rounds_of(std::int64_t local_steps) {
  SmallRun run;
  run.config.train.batch = 32;
  run.config.train.epochs = 2;
  run.config.parallel.exchange = "local_sgd";
  run.config.parallel.local_steps = local_steps;
  run.ranks = 4;
  return run;
}

struct FirstStep : Callback {
  void on_start(const RunFacts& facts) override { step = facts.first_step; }
  std::int64_t step = -1;
};

}  // namespace

TEST_CASE("a stop between evaluations leaves a checkpoint that local_sgd goes on from") {
  for (const int nodes : {1, 2}) {
    CAPTURE(nodes);
    Folder folder;
    SmallRun run = rounds_of(3);
    run.nodes = nodes;
    run.config.checkpoint_folder = folder.path.string();
    run.per_rank = [](int, TrainerConfig& config) {
      config.stop_requested = [calls = std::make_shared<int>(0)] { return ++*calls >= 2 ? Stop::interrupt : Stop::none; };
    };
    const auto stopped = run.run();
    for (const std::string& error : stopped.errors) CHECK(error == "");
    CHECK(stopped.summary.status == "interrupted");
    CHECK(stopped.summary.steps == 3);  // the end of its round
    run.per_rank = {};
    run.config.resume = true;
    FirstStep first;
    run.callbacks = {&first};
    const auto resumed = run.run();
    for (const std::string& error : resumed.errors) CHECK(error == "");
    CHECK(first.step == 3);
    CHECK(resumed.summary.status == "done");
  }
}

TEST_CASE("a stop request does not wait for the end of a long round, and all ranks stop at one step") {
  for (const int nodes : {1, 2, 4})
    for (const int asks_at : {1, 7, 8, 9, 30}) {
      CAPTURE(nodes, asks_at);
      Folder folder;
      SmallRun run = rounds_of(500);
      run.nodes = nodes;
      run.validation = nullptr;
      run.config.train.epochs = 0, run.config.train.steps = 400;
      run.config.checkpoint.every_epochs = 0;
      run.config.final_evaluation = false;
      run.config.checkpoint_folder = folder.path.string();
      run.per_rank = [&](int rank, TrainerConfig& config) {
        config.stop_requested = [rank, asks_at, calls = std::make_shared<int>(0)] {
          return ++*calls >= asks_at && rank == 2 ? Stop::interrupt : Stop::none;
        };
      };
      const auto stopped = run.run();
      for (const std::string& error : stopped.errors) CHECK(error == "");
      for (const std::string& hash : stopped.hashes) CHECK(hash == stopped.hashes[0]);
      CHECK(stopped.summary.status == "interrupted");
      CHECK(stopped.summary.steps >= asks_at);
      CHECK(stopped.summary.steps <= asks_at + 2 * LocalSgd::kStopEvery - 1);
      run.per_rank = {};
      run.config.resume = true;
      run.config.train.steps = stopped.summary.steps + 20;
      CHECK(run.run().errors[0] == "");
    }
}

TEST_CASE("questions about stopping change no bit of a round") {
  SmallRun run = rounds_of(40);
  run.nodes = 2;
  run.validation = nullptr;
  run.config.train.epochs = 0, run.config.train.steps = 100;
  const auto first = run.run();
  run.config.stop_requested = [] { return Stop::none; };
  CHECK(run.run().summary.parameters_hash == first.summary.parameters_hash);
}

TEST_CASE("a rank of one node that fails inside a long round does not leave the others waiting") {
  SmallRun run = rounds_of(500);
  run.per_rank = [](int rank, TrainerConfig& config) {
    if (rank == 1)
      config.stop_requested = [calls = std::make_shared<int>(0)]() -> Stop {
        return ++*calls > 12 ? throw DataError("the disk is gone") : Stop::none;
      };
  };
  const auto start = std::chrono::steady_clock::now();
  const auto result = run.run();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));  // the deadline is a minute
  for (const std::string& error : result.errors) CHECK_THAT(error, Catch::Contains("the disk is gone"));
}

TEST_CASE("a checkpoint of rounds that goes on without them says so, and back") {
  struct Warnings : Log {
    void write(LogLevel level, std::string_view text) override {
      if (level == LogLevel::warning) said += text;
    }
    std::string said;
  };
  Folder folder;
  SmallRun run = rounds_of(3);
  run.ranks = 2;
  run.config.checkpoint_folder = folder.path.string();
  run.config.train.steps = 4;
  CHECK(run.run().errors[0] == "");
  run.config.resume = true;
  const auto warned = [&](const std::string& exchange) {
    Warnings log;
    run.log = &log;
    run.config.parallel.exchange = exchange;
    run.config.train.steps += 3;
    CHECK(run.run().errors[0] == "");
    return log.said;
  };
  CHECK(warned("local_sgd") == "");
  CHECK_THAT(warned("shared"), Catch::Contains("was made with parallel.exchange = local_sgd, this run has shared"));
  CHECK(warned("replicated") == "");
  CHECK_THAT(warned("local_sgd"), Catch::Contains("every rank takes updates of its own"));
}

TEST_CASE("what only rounds read may change where a run goes on without them, and nowhere else") {
  Folder folder;
  SmallRun run = rounds_of(3);
  run.ranks = 2;
  run.config.checkpoint_folder = folder.path.string();
  run.config.train.steps = 4;
  const auto outer = [&](double lr) {
    run.config.parallel.outer_lr = lr;
    run.config.identity = {{"parallel.outer_lr", std::to_string(lr)}};
    run.config.train.steps += 3;
    return run.run().errors[0];
  };
  CHECK(outer(0.7) == "");
  run.config.resume = true;
  CHECK_THAT(outer(0.5), Catch::Contains("parallel.outer_lr is"));
  run.config.parallel.exchange = "shared";
  CHECK(outer(1) == "");
  run.config.parallel.exchange = "local_sgd";
  CHECK(outer(0.5) == "");
}

TEST_CASE("a narrow wire does not swallow small steps of local_sgd") {
  SmallRun run = rounds_of(2);
  run.nodes = 2;
  run.optimizer.name = "sgd";
  run.optimizer.lr = 0;
  const auto start = run.run();
  run.optimizer.lr = 1e-4;  // a round moves a parameter by less than half of its last place in bf16
  for (const double momentum : {0.0, 0.5}) {
    CAPTURE(momentum);
    run.config.parallel.outer_momentum = momentum;
    run.config.parallel.wire = "f32";
    const auto wide = run.run();
    run.config.parallel.wire = "bf16";
    const auto narrow = run.run();
    for (const std::string& error : narrow.errors) CHECK(error == "");
    for (const std::string& hash : narrow.hashes) CHECK(hash == narrow.hashes[0]);
    double moved = 0, off = 0;
    for (std::size_t i = 0; i < wide.parameters.size(); ++i) {
      moved += std::pow(wide.parameters[i] - start.parameters[i], 2);
      off += std::pow(wide.parameters[i] - narrow.parameters[i], 2);
    }
    CHECK(std::sqrt(off) < 0.01 * std::sqrt(moved));  // bf16 has 8 bits
  }
}
