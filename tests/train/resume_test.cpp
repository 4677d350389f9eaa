// A run that is cut anywhere and resumed is the run that was never cut: parameters, best weights, early stopping, scores.
#include "folder.hpp"
#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace chorale;

namespace {

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
      config.stop_requested = [calls = std::make_shared<int>(0), stop_at] { return ++*calls >= stop_at ? Stop::interrupt : Stop::none; };
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

TEST_CASE("a resumed run may watch other scores at other times, but not change a step") {
  Folder folder;
  SmallRun run = small();
  run.config.checkpoint_folder = folder.path.string();
  run.config.train.steps = 9;
  run.run();
  run.config.train.steps = 0, run.config.resume = true;
  SmallRun other = run;
  other.config.train.early_stop = {"validation.auc", "9"};
  other.config.train.evaluate_every = 3;
  other.config.train.metrics = {"brier"};
  const auto watched = other.run();
  CHECK(watched.errors[0] == "");
  CHECK(watched.summary.steps == 21);
  CHECK(watched.summary.metrics.at("validation").contains("brier"));
  other.config.train.seed = 2;
  CHECK_THAT(other.run().errors[0], Catch::Contains("train.seed is '2', the checkpoint was made with '1'"));
  other.config.train.seed = 1, other.config.train.accumulate = 2;
  CHECK_THAT(other.run().errors[0], Catch::Contains("train.accumulate is '2', the checkpoint was made with '1'"));
}

TEST_CASE("evaluations come every k steps or every k epochs") {
  const auto steps_of = [](std::int64_t steps, std::int64_t epochs) {
    SmallRun run = small();
    run.config.train.early_stop = {};
    run.config.train.epochs = 5;
    run.config.train.evaluate_every = steps, run.config.train.evaluate_every_epochs = epochs;
    Heard heard;
    run.callbacks = {&heard};
    run.run();
    std::vector<std::int64_t> out;
    for (const auto& [step, scores] : heard.by_step) out.push_back(step);
    return out;
  };
  CHECK(steps_of(0, 1) == std::vector<std::int64_t>{7, 14, 21, 28, 35});
  CHECK(steps_of(0, 2) == std::vector<std::int64_t>{14, 28, 35});  // and once at the end
  CHECK(steps_of(10, 1) == std::vector<std::int64_t>{10, 20, 30});
}

TEST_CASE("what an exchange carried is not dropped in silence") {
  struct Warnings : Log {
    void write(LogLevel level, std::string_view text) override {
      if (level == LogLevel::warning) said += text;
    }
    std::string said;
  };
  Folder folder;
  SmallRun run = small();
  run.ranks = 2, run.nodes = 2;
  run.config.parallel.exchange = "sharded", run.config.parallel.wire = "bf16";
  run.config.checkpoint_folder = folder.path.string();
  run.config.train.steps = 5;
  run.run();
  run.config.train.steps = 6, run.config.resume = true;
  Warnings same, other;
  run.log = &same;
  CHECK(run.run().errors[0] == "");
  CHECK(same.said.empty());
  run.config.train.steps = 7, run.config.parallel.exchange = "shared";
  run.log = &other;
  CHECK(run.run().errors[0] == "");
  CHECK_THAT(other.said, Catch::Contains("exchange.residual."));
}
