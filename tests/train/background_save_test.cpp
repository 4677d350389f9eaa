// Saves that go on while training does: what is written is the step that was saved, all ranks agree about errors, nothing half is left.
#include "folder.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/tests/train/run_ranks.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

SmallRun small(const fs::path& folder) {
  SmallRun run;
  run.config.train.batch = 32;
  run.config.train.epochs = 3;  // of seven steps
  run.config.train.early_stop = {"validation.loss", "9"};
  run.config.parallel.virtual_workers = 4;
  run.config.checkpoint.keep_last = 100;
  run.config.checkpoint_folder = folder.string();
  run.optimizer.lr = 0.05;
  return run;
}

struct Heard : Callback, Log {
  void on_start(const RunFacts& facts) override { text = facts.checkpoints; }
  void on_step(const StepEvent& e) override { step = e.step; }
  void on_checkpoint(const CheckpointEvent& e) override { saves.push_back(e), known_at.push_back(step); }
  void write(LogLevel, std::string_view words) override {
    const std::lock_guard lock(mutex);
    said += std::string(words) + "\n";
  }
  std::mutex mutex;
  std::string text, said;
  std::int64_t step = 0;
  std::vector<CheckpointEvent> saves;
  std::vector<std::int64_t> known_at;
};

/// Holds the writing threads of all ranks at a point until something lets them go.
struct Gate {
  std::atomic<bool> open{false};
  void wait() const {
    while (!open) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
};

std::vector<std::int64_t> steps_in(const fs::path& folder) { return list_checkpoints(folder).steps; }

}  // namespace

TEST_CASE("training goes on while a checkpoint is written, and what is written is the step that was saved") {
  Folder folder;
  SmallRun run = small(folder.path / "slow");
  run.ranks = 3;
  run.config.checkpoint.every_steps = 10;
  Gate gate;
  Heard heard;
  struct Opens : Callback {
    explicit Opens(Gate& g) : gate(g) {}
    void on_step(const StepEvent& e) override {
      if (e.step == 17) gate.open = true;
    }
    Gate& gate;
  } opens(gate);
  run.callbacks = {&heard, &opens};
  run.config.at_save = [&](SavePoint point) {
    if (point == SavePoint::part_written) gate.wait();
  };
  const auto slow = run.run();
  for (const std::string& error : slow.errors) CHECK(error == "");
  REQUIRE(heard.saves.size() == 3);
  CHECK(heard.saves[0].step == 10);
  CHECK(heard.known_at[0] >= 18);  // seven steps and more were done meanwhile
  CHECK(heard.saves[0].in_background);
  CHECK_THAT(heard.text, Catch::Contains("every 10 steps, in the background from a copy of"));

  SmallRun waits = small(folder.path / "waits");
  waits.ranks = 2;
  waits.config.checkpoint.every_steps = 10, waits.config.checkpoint.background = false;
  Heard waited;
  waits.callbacks = {&waited};
  const auto plain = waits.run();
  CHECK(plain.summary.parameters_hash == slow.summary.parameters_hash);
  REQUIRE(waited.saves.size() == 3);
  CHECK(waited.known_at == std::vector<std::int64_t>{10, 20, 21});
  CHECK_FALSE(waited.saves[0].in_background);
  for (const std::int64_t step : {10, 20, 21})
    for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.safetensors"}) {
      CAPTURE(step, file);
      CHECK(tensors_hash(open_step(folder.path / "slow", step).tensors(file).tensors()) ==
            tensors_hash(open_step(folder.path / "waits", step).tensors(file).tensors()));
    }
}

TEST_CASE("a save that is due while another is written waits for it") {
  Folder folder;
  SmallRun run = small(folder.path);
  run.ranks = 2;
  run.config.checkpoint.every_steps = 2;
  Heard heard;
  run.callbacks = {&heard};
  run.log = &heard;
  run.config.at_save = [](SavePoint point) {
    if (point == SavePoint::manifest) std::this_thread::sleep_for(std::chrono::milliseconds(150));
  };
  for (const std::string& error : run.run().errors) CHECK(error == "");
  CHECK(steps_in(folder.path) == std::vector<std::int64_t>{2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 21});
  CHECK_THAT(heard.said, Catch::Contains("they are due faster than they are written"));
}

TEST_CASE("an error of one rank's part is every rank's: older checkpoints stay, training goes on or stops as told") {
  for (const std::string policy : {"warn", "stop"})
    for (const SavePoint where : {SavePoint::part_written, SavePoint::manifest, SavePoint::rename}) {
      CAPTURE(policy, static_cast<int>(where));
      Folder folder;
      SmallRun run = small(folder.path);
      run.ranks = 3;
      run.config.checkpoint.every_steps = 5, run.config.checkpoint.on_error = policy;
      Heard heard;
      run.callbacks = {&heard};
      run.log = &heard;
      auto second = std::make_shared<std::atomic<int>>(0);
      run.per_rank = [&](int rank, TrainerConfig& config) {
        const int speaks = where == SavePoint::part_written ? 1 : 0;  // the last rank has all of a file that is below 1 MiB
        auto calls = std::make_shared<std::atomic<int>>(0);
        if (where != SavePoint::part_written ? rank == speaks : rank == 2)
          config.at_save = [=](SavePoint point) {
            const int third_file_of_second = where == SavePoint::part_written ? 4 : 2;
            if (point == where && ++*calls == third_file_of_second) throw IoError("[test] the disk is full");
          };
      };
      const auto result = run.run();
      for (const std::string& error : result.errors) {
        if (policy == "warn") CHECK(error == "");
        if (policy == "stop") CHECK_THAT(error, Catch::Contains("the disk is full"));
      }
      // Told to stop, another rank may leave first: then rank 0 has the error from it.
      if (policy == "warn") REQUIRE(heard.saves.size() >= 2);
      if (heard.saves.size() >= 2) CHECK(heard.saves[1].error == "[test] the disk is full");
      using Steps = std::vector<std::int64_t>;
      CHECK(steps_in(folder.path) == (policy == "warn" ? Steps{5, 15, 20, 21} : Steps{5}));
      CHECK(list_checkpoints(folder.path).leftovers.empty());
      for (const std::int64_t step : steps_in(folder.path)) CHECK_NOTHROW(open_step(folder.path, step));
      if (policy == "warn") CHECK_THAT(heard.said, Catch::Contains("checkpoint of step 10 failed, training goes on"));
      if (policy == "warn") CHECK(result.summary.checkpoints_failed == 1);
    }
}

TEST_CASE("who has lost the run leaves with the code for it, whatever the policy") {
  Folder folder;
  SmallRun run = small(folder.path);
  run.ranks = 2;
  run.config.checkpoint.every_steps = 5;
  auto asked = std::make_shared<std::atomic<int>>(0);
  run.config.still_ours = [=] {
    if (++*asked > 1) throw OwnedError("run directory has another owner now");
  };
  for (const std::string& error : run.run().errors) CHECK_THAT(error, Catch::Contains("another owner"));
  CHECK(steps_in(folder.path) == std::vector<std::int64_t>{5});
}

TEST_CASE("rank 0's clock decides for all ranks, also where they tell each other once a round only") {
  for (const std::string exchange : {"shared", "local_sgd"}) {
    CAPTURE(exchange);
    Folder folder;
    SmallRun run = small(folder.path);
    run.ranks = 3;
    run.config.parallel.exchange = exchange;
    if (exchange == "local_sgd") run.config.parallel.local_steps = 3;
    run.config.train.epochs = 30;
    run.config.train.early_stop = {};
    run.config.checkpoint.every_seconds = 0.03;
    run.config.stop_requested = [] {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return Stop::none;
    };
    // A busy disk takes its time for each: then the run is prolonged.
    for (int turn = 0; turn == 0 || (steps_in(folder.path).size() < 4 && turn < 10); ++turn, run.config.train.epochs += 30) {
      run.config.resume = turn > 0;
      for (const std::string& error : run.run().errors) CHECK(error == "");
    }
    const auto steps = steps_in(folder.path);
    CHECK(steps.size() >= 4);
    for (const std::int64_t step : steps) CHECK_NOTHROW(open_step(folder.path, step));
    run.config.resume = true, ++run.config.train.epochs;
    run.ranks = exchange == "shared" ? 2 : 3;
    for (const std::string& error : run.run().errors) CHECK(error == "");
  }
}

TEST_CASE("the best by score stay, and their score is in the manifest") {
  struct Scores : Callback {
    void on_evaluation(const EvaluationEvent& e) override {
      if (!e.final) loss[e.step] = e.scores.at("validation").at("loss");
    }
    std::int64_t best() const {
      return std::min_element(loss.begin(), loss.end(), [](auto& x, auto& y) { return x.second < y.second; })->first;
    }
    std::map<std::int64_t, double> loss;
  };
  for (std::int64_t seed = 1; seed <= 20; ++seed) {
    Folder folder;
    SmallRun run = small(folder.path);
    run.config.checkpoint.keep_last = 1, run.config.checkpoint.keep_best = 1;
    run.config.train.early_stop = {};
    run.config.train.epochs = 6;
    run.config.train.seed = seed;
    Scores scores;
    run.callbacks = {&scores};
    run.optimizer.lr = 0.5;  // so that the last need not be the best
    CHECK(run.run().errors[0] == "");
    if (scores.best() == 42) continue;  // another seed: which one depends on the build's bits
    CHECK(steps_in(folder.path) == std::vector<std::int64_t>{scores.best(), 42});
    const auto score = read_manifest(folder.path / checkpoint_name(scores.best())).score;
    REQUIRE(score);
    CHECK(score->name == "validation.loss");
    CHECK(score->value == scores.loss.at(scores.best()));
    run.validation = nullptr;
    CHECK_THAT(run.run().errors[0], Catch::Contains("checkpoint.keep_best = 1 needs validation rows"));
    return;
  }
  FAIL("the last was the best with every seed");
}

TEST_CASE("a run that ends in the middle of a save leaves the older checkpoint and no thread") {
  Folder folder;
  SmallRun run = small(folder.path);
  run.ranks = 2;
  run.config.checkpoint.every_steps = 5;
  run.config.at_save = [](SavePoint point) {
    if (point == SavePoint::part_written) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  };
  run.config.stop_requested = [calls = std::make_shared<std::atomic<int>>(0)] {
    if (++*calls > 24) throw IoError("[test] a rank fails");  // both ranks count: in step 12 or 13
    return Stop::none;
  };
  const auto result = run.run();
  CHECK_FALSE(result.errors[0].empty());
  for (const std::int64_t step : steps_in(folder.path)) CHECK_NOTHROW(open_step(folder.path, step));
}

TEST_CASE("a checkpoint of another model or type is refused on all ranks, with the tensor and both shapes or types") {
  Folder folder;
  SmallRun run = small(folder.path);
  run.config.train.steps = 5;
  CHECK(run.run().errors[0] == "");
  run.config.resume = true, run.config.train.steps = 6;
  run.ranks = 2;
  SmallRun wider = run;
  wider.layers = "linear(17) relu dropout(0.2) linear(9) tanh linear(1)";
  for (const std::string& error : wider.run().errors)
    CHECK_THAT(error, Catch::Contains("is f32 [16, 7], the model has f32 [17, 7]") ||
                          Catch::Contains("is f32 [16], the model has f32 [17]") ||
                          Catch::Contains("is f32 [9, 16], the model has f32 [9, 17]"));
  SmallRun deeper = run;
  deeper.layers = "linear(16) relu linear(16) relu dropout(0.2) linear(9) tanh linear(1)";
  for (const std::string& error : deeper.run().errors)
    CHECK_THAT(error, Catch::Contains("has no tensor") || Catch::Contains("the model has"));
  SmallRun doubled = run;
  doubled.config.train.dtype = "f64";
  for (const std::string& error : doubled.run().errors)
    CHECK_THAT(error, Catch::Contains("the model has f64") || Catch::Contains("train.dtype is 'f64', the checkpoint was made with 'f32'"));
}
