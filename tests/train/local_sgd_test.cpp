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
