// Checkpoints whose writers are held back while training goes on: whatever overwrites parameters, state, best weights or what an exchange
// carries has to copy first. What is written is compared with what a run that waits for its saves writes.
#include "folder.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <filesystem>
#include <thread>

#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/tests/train/run_ranks.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

/// Shares of three ranks and several pieces: a model of 1.2 MB, its state of 2.4.
SmallRun large(const fs::path& folder) {
  SmallRun run;
  run.layers = "linear(300) relu linear(901) relu linear(33) tanh linear(1)";
  run.config.train.batch = 24;
  run.config.train.steps = 24;
  run.config.train.evaluate_every = 4;
  run.config.train.early_stop = {"validation.loss", "99"};
  run.config.checkpoint.every_steps = 6;
  run.config.checkpoint.keep_last = 100;
  run.config.checkpoint_folder = folder.string();
  run.config.parallel.virtual_workers = 6;
  run.optimizer.name = "adam", run.optimizer.lr = 0.002;
  return run;
}

/// Lets the writing threads of all ranks through only when `steps` steps more have been made, or nobody trains any more. More than there
/// are from one save to the next would wait for ever, as the next save waits for them.
struct HeldBack : Callback {
  HeldBack(std::int64_t held, std::int64_t saves_every) : steps(held), every(saves_every) {}
  void on_step(const StepEvent& e) override { step = e.step; }
  void on_end(const Summary&) override { over = true; }
  /// A rank begins a save; rank 0, whose steps are counted, may be one step behind or, with local_sgd, two ahead.
  void begun() { until = (step + 1) / every * every + steps; }
  void wait(std::int64_t last) const {
    while (!over && step < until && step < last) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::int64_t steps, every;
  std::atomic<std::int64_t> step{0}, until{0};
  std::atomic<bool> over{false};
};

/// Trains twice, and compares every file of every checkpoint.
void compare(SmallRun run, std::int64_t held_steps) {
  Folder folder;
  HeldBack held(held_steps, run.config.checkpoint.every_steps);
  run.callbacks = {&held};
  const std::int64_t last = run.config.train.steps;
  run.config.checkpoint_folder = (folder.path / "held").string();
  run.config.at_save = [&](SavePoint point) {
    if (point == SavePoint::snapshot) held.begun();
    if (point == SavePoint::read) held.wait(last);
  };
  const auto beside = run.run();
  for (const std::string& error : beside.errors) REQUIRE(error == "");
  CHECK(beside.summary.checkpoints_failed == 0);

  run.callbacks = {}, run.config.at_save = {};
  run.config.checkpoint.background = false;
  run.config.checkpoint_folder = (folder.path / "waits").string();
  const auto plain = run.run();
  for (const std::string& error : plain.errors) REQUIRE(error == "");
  CHECK(plain.summary.parameters_hash == beside.summary.parameters_hash);
  const std::vector<std::int64_t> steps = list_checkpoints(folder.path / "waits").steps;
  REQUIRE(steps.size() >= 4);
  CHECK(list_checkpoints(folder.path / "held").steps == steps);
  for (const std::int64_t step : steps)
    for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.safetensors"}) {
      CAPTURE(step, file);
      CHECK(tensors_hash(open_step(folder.path / "held", step).tensors(file).tensors()) ==
            tensors_hash(open_step(folder.path / "waits", step).tensors(file).tensors()));
    }
}

}  // namespace

TEST_CASE("updates keep what a checkpoint still needs, with every exchange and any number of ranks and nodes") {
  struct Case {
    const char* exchange;
    int ranks, nodes;
  };
  for (const Case& c : std::vector<Case>{{"replicated", 1, 1},
                                         {"replicated", 3, 1},
                                         {"replicated", 4, 2},
                                         {"shared", 2, 1},
                                         {"shared", 3, 1},
                                         {"shared", 4, 2},
                                         {"sharded", 2, 1},
                                         {"sharded", 3, 3},
                                         {"sharded", 4, 2},
                                         {"local_sgd", 1, 1},
                                         {"local_sgd", 3, 1},
                                         {"local_sgd", 4, 2}})
    for (const std::int64_t held_steps : c.nodes > 1 ? std::vector<std::int64_t>{5} : std::vector<std::int64_t>{0, 5}) {
      CAPTURE(c.exchange, c.ranks, c.nodes, held_steps);
      Folder folder;
      SmallRun run = large(folder.path);
      run.config.parallel.exchange = c.exchange;
      run.ranks = c.ranks, run.nodes = c.nodes;
      if (c.exchange == std::string("local_sgd"))
        run.config.parallel.local_steps = 3, run.config.parallel.outer_lr = 0.7, run.config.parallel.outer_momentum = 0.5;
      compare(run, held_steps);
    }
}

TEST_CASE("updates that clip, that round on a narrow wire, and copies for domains keep what a checkpoint still needs") {
  Folder folder;
  SmallRun clips = large(folder.path);
  clips.ranks = 3, clips.optimizer.clip_norm = 0.01;
  compare(clips, 4);
  for (const std::string exchange : {"sharded", "local_sgd"}) {
    SmallRun narrow = large(folder.path);
    narrow.config.parallel.exchange = exchange, narrow.config.parallel.wire = "bf16";
    narrow.ranks = 4, narrow.nodes = 2;
    compare(narrow, 4);
  }
  for (const std::string exchange : {"shared", "sharded"}) {
    SmallRun domains = large(folder.path);
    domains.config.parallel.exchange = exchange, domains.config.parallel.copies = "numa";
    domains.domain_of = [](int local) { return local % 2; };
    domains.ranks = 4;
    compare(domains, 4);
  }
}

TEST_CASE("an exchange that changes, and buckets that are planned anew, beside a save") {
  Folder folder;
  SmallRun changes = large(folder.path);
  changes.config.parallel.exchange = "auto";
  changes.config.train.steps = 160, changes.config.train.evaluate_every = 40, changes.config.checkpoint.every_steps = 35;
  changes.ranks = 2;
  compare(changes, 30);  // turns have twelve steps
  SmallRun plans = large(folder.path);
  plans.config.parallel.exchange = "sharded", plans.config.checkpoint.every_steps = 2;
  plans.ranks = 4, plans.nodes = 2;
  compare(plans, 2);
}
