#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cmath>
#include <filesystem>

using namespace chorale;

namespace {

struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("chorale_rounds_" + std::to_string(::getpid()));
  Folder() { std::filesystem::remove_all(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

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
      config.stop_requested = [calls = std::make_shared<int>(0)] { return ++*calls >= 2; };
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
