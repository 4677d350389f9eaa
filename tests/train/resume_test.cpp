// A run that is cut anywhere and resumed is the run that was never cut: parameters, best weights, early stopping, scores.
#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>

using namespace chorale;

namespace {

struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("chorale_cut_" + std::to_string(::getpid()));
  Folder() { std::filesystem::remove_all(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

/// Three epochs of seven steps, dropout, early stopping that has something to stop.
SmallRun small() {
  SmallRun run;
  run.config.train.batch = 32;
  run.config.train.epochs = 3;
  run.config.train.metrics = {"auc", "accuracy"};
  run.config.train.early_stop = {"validation.loss", "2"};
  run.config.parallel.virtual_workers = 4;
  run.optimizer.lr = 0.05;
  return run;
}

/// What on_evaluation said, by step; a later word on one step replaces the earlier.
struct Heard : Callback {
  void on_evaluation(const EvaluationEvent& e) override {
    if (!e.final) by_step[e.step] = e.scores;
  }
  std::map<std::int64_t, std::map<std::string, std::map<std::string, double>>> by_step;
};

void check_equal(const SmallRun::Result& cut, const SmallRun::Result& whole) {
  for (const std::string& error : cut.errors) CHECK(error == "");
  CHECK(cut.summary.parameters_hash == whole.summary.parameters_hash);
  CHECK(cut.summary.best_parameters_hash == whole.summary.best_parameters_hash);
  CHECK(cut.summary.status == whole.summary.status);
  CHECK(cut.summary.steps == whole.summary.steps);
  CHECK(cut.summary.metrics == whole.summary.metrics);
}

}  // namespace

TEST_CASE("a run cut after any number of steps ends as the whole run, early stopping and best weights included") {
  for (const std::int64_t evaluate_every : {0, 2}) {
    SmallRun run = small();
    run.config.train.evaluate_every = evaluate_every;
    Heard heard;
    run.callbacks = {&heard};
    const auto whole = run.run();
    for (const std::int64_t steps : {1, 6, 7, 8, 10, 13}) {
      if (steps >= whole.summary.steps) continue;
      CAPTURE(evaluate_every, steps);
      Folder folder;
      SmallRun cut = small();
      Heard parts;
      cut.callbacks = {&parts};
      cut.config.train.evaluate_every = evaluate_every;
      cut.config.checkpoint_folder = folder.path.string();
      cut.config.train.steps = steps;
      cut.ranks = 3;
      cut.run();
      cut.config.train.steps = 0, cut.config.resume = true;
      cut.ranks = 2;
      check_equal(cut.run(), whole);
      for (const auto& [step, scores] : heard.by_step) CHECK(parts.by_step[step] == scores);
    }
  }
}

TEST_CASE("a stop request at the end of an epoch does not lose that epoch's evaluation") {
  SmallRun run = small();
  const auto whole = run.run();
  for (const int stop_at : {6, 7, 14, 21}) {
    if (stop_at > whole.summary.steps) continue;
    CAPTURE(stop_at);
    Folder folder;
    run.config.checkpoint_folder = folder.path.string();
    run.per_rank = [stop_at](int, TrainerConfig& config) {
      config.stop_requested = [calls = std::make_shared<int>(0), stop_at] { return ++*calls >= stop_at; };
    };
    const auto stopped = run.run();
    CHECK(stopped.summary.status == "interrupted");
    CHECK(stopped.summary.steps == stop_at);
    run.per_rank = {};
    run.config.resume = true;
    check_equal(run.run(), whole);
    check_equal(run.run(), whole);  // of the checkpoint that the finished run has left
    run.config.resume = false;
    run.config.checkpoint_folder = "";
  }
}
