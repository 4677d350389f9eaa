#include "folder.hpp"
#include "results.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cmath>
#include <filesystem>

using namespace chorale;

namespace {

SmallRun metered() {
  SmallRun run;
  run.config.train.batch = 32;
  run.config.train.epochs = 3;
  run.config.train.metrics = {"auc", "accuracy"};
  run.optimizer.lr = 0.01;
  return run;
}

}  // namespace

TEST_CASE("a small network learns") {
  SmallRun run = metered();
  run.config.train.epochs = 20;
  const auto result = run.run();
  check_no_errors(result);
  CHECK(result.summary.status == "done");
  CHECK(result.summary.steps == 20 * 7);
  CHECK(result.summary.metrics.at("validation").at("auc") > 0.85);
  CHECK(result.summary.metrics.at("train").at("loss") < 0.4);
}

TEST_CASE("four virtual workers give the same bits at every number of ranks, and between nodes") {
  for (const double clip : {0.0, 0.5}) {
    SmallRun run = metered();
    run.config.parallel.virtual_workers = 4;
    run.config.train.early_stop = {"validation.auc", "2"};
    run.optimizer.clip_norm = clip;
    const auto reference = run.run();
    check_no_errors(reference);
    for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {2, 2}, {4, 2}, {3, 3}}) {
      CAPTURE(ranks, nodes, clip);
      run.ranks = ranks, run.nodes = nodes;
      const auto result = run.run();
      check_no_errors(result);
      for (const std::string& hash : result.hashes) CHECK(hash == reference.summary.parameters_hash);
      CHECK(result.summary.best_parameters_hash == reference.summary.best_parameters_hash);
      CHECK(result.summary.metrics == reference.summary.metrics);
    }
  }
}

TEST_CASE("uneven numbers of virtual workers keep their bits too") {
  for (const std::int64_t workers : {3, 5, 7}) {
    SmallRun run = metered();
    run.config.train.epochs = 1;
    run.config.parallel.virtual_workers = workers;
    const auto reference = run.run();
    for (const int ranks : {2, 3}) {
      CAPTURE(workers, ranks);
      run.ranks = ranks;
      CHECK(run.run().summary.parameters_hash == reference.summary.parameters_hash);
      run.ranks = 1;
    }
  }
}

TEST_CASE("any partition of the batch gives the same update") {
  for (const std::string rule : {"sgd", "adam"}) {
    SmallRun run = metered();
    run.layers = "linear(16) relu linear(1)";
    run.train = small_data(1000, 7, 3);
    run.config.train.epochs = 1;
    run.optimizer.name = rule;
    run.optimizer.lr = rule == "sgd" ? 0.1 : 0.001;
    const auto reference = run.run();
    for (const int ranks : {2, 3, 7}) {
      CAPTURE(rule, ranks);
      run.ranks = ranks;
      const auto result = run.run();
      check_no_errors(result);
      CHECK(distance(reference.parameters, result.parameters) <= (rule == "sgd" ? 1e-6 : 1e-5));
      run.ranks = 1;
    }
  }
}

TEST_CASE("accumulation changes the update by rounding only") {
  SmallRun run = metered();
  run.layers = "linear(16) relu linear(1)";
  run.config.train.epochs = 1;
  run.optimizer.name = "sgd";
  const auto whole = run.run();
  run.config.train.accumulate = 3;
  const auto parts = run.run();
  CHECK(distance(whole.parameters, parts.parameters) <= 1e-6);
  CHECK(whole.summary.parameters_hash != parts.summary.parameters_hash);
}

TEST_CASE("a run that is cut and resumed at another number of ranks ends with the same bits") {
  Folder folder;
  SmallRun run = metered();
  run.config.parallel.virtual_workers = 4;
  run.config.train.early_stop = {"validation.auc", "3"};
  const auto whole = run.run();
  run.config.checkpoint_folder = (folder.path / "checkpoints").string();
  run.config.train.steps = 10;  // in the middle of epoch 1
  run.ranks = 3;
  check_no_errors(run.run());
  run.config.train.steps = 0;
  run.config.resume = true;
  run.ranks = 2;
  run.config.parallel.virtual_workers = 0;  // the checkpoint's
  const auto resumed = run.run();
  check_no_errors(resumed);
  CHECK(resumed.summary.virtual_workers == 4);
  CHECK(resumed.summary.parameters_hash == whole.summary.parameters_hash);
}

TEST_CASE("a resumed run with another recipe is refused with both values") {
  Folder folder;
  SmallRun run = metered();
  run.config.train.steps = 2;
  run.config.checkpoint_folder = (folder.path / "checkpoints").string();
  run.config.identity = {{"optimizer.lr", "0.01"}};
  check_no_errors(run.run());
  run.config.resume = true;
  run.config.identity = {{"optimizer.lr", "0.02"}};
  const auto result = run.run();
  CHECK(result.errors[0].find("optimizer.lr is '0.02', the checkpoint was made with '0.01'") != std::string::npos);
}

TEST_CASE("a loss that is not finite ends all ranks at the same step and names tensor and samples") {
  SmallRun run = metered();
  auto data = std::make_shared<TensorDataset>(64);
  std::vector<float> x(64 * 7, 0.5f), y(64, 1.0f);
  x[37 * 7 + 2] = std::numeric_limits<float>::quiet_NaN();
  data->add("x", {7}, std::move(x));
  data->add("target", {}, std::move(y));
  run.train = data;
  run.ranks = 3;
  const auto result = run.run();
  CHECK(result.errors[0].find("the first bad tensor is 'x' of samples 37") != std::string::npos);
  for (const std::string& error : result.errors) CHECK(error.find("the first bad tensor is 'x' of samples 37") != std::string::npos);
}

TEST_CASE("ranks with different settings are refused before step 0") {
  SmallRun run = metered();
  run.ranks = 3;
  run.per_rank = [](int rank, TrainerConfig& config) {
    if (rank == 2) config.train.seed = 5;
  };
  const auto result = run.run();
  for (const std::string& error : result.errors) CHECK(error.find("train.seed is '1' on rank 0 and '5' on rank 2") != std::string::npos);
}

TEST_CASE("a stop request on one rank stops all at a step boundary") {
  SmallRun run = metered();
  run.ranks = 3;
  run.per_rank = [](int rank, TrainerConfig& config) {
    auto calls = std::make_shared<int>(0);
    if (rank == 1) config.stop_requested = [calls] { return ++*calls >= 4 ? Stop::interrupt : Stop::none; };
  };
  const auto result = run.run();
  check_no_errors(result);
  CHECK(result.summary.status == "interrupted");
  CHECK(result.summary.steps == 4);
}

TEST_CASE("ranks that were asked for different ends agree on the stronger one") {
  for (const Stop other : {Stop::none, Stop::requeue, Stop::interrupt}) {
    SmallRun run = metered();
    run.ranks = 3;
    run.per_rank = [other](int rank, TrainerConfig& config) {
      const Stop mine = rank == 0 ? other : rank == 1 ? Stop::requeue : Stop::none;
      config.stop_requested = [calls = std::make_shared<int>(0), mine] { return ++*calls >= 4 ? mine : Stop::none; };
    };
    for (const int nodes : {1, 3}) {
      run.nodes = nodes;
      const auto result = run.run();
      check_no_errors(result);
      CHECK(result.summary.status == (other == Stop::interrupt ? "interrupted" : "checkpointed"));
      CHECK(result.summary.steps == 4);
    }
  }
}

TEST_CASE("sizes that do not fit are refused with the numbers") {
  SmallRun run = metered();
  run.config.train.batch = 2;
  run.config.parallel.virtual_workers = 4;
  CHECK(run.run().errors[0].find("train.batch = 2 is below the 4 virtual workers") != std::string::npos);
  run = metered();
  run.config.parallel.virtual_workers = 2;
  run.ranks = 3;
  CHECK(run.run().errors[2].find("3 ranks for 2 virtual workers") != std::string::npos);
  run = metered();
  run.config.train.early_stop = {"validation.auc", "2"};
  run.validation = nullptr;
  CHECK(run.run().errors[0].find("needs validation rows") != std::string::npos);
}

TEST_CASE("options of exchanges that would do nothing are refused") {
  const auto error_of = [](const ParallelOptions& parallel, const std::string& dtype) {
    SmallRun run;
    run.config.train.batch = 32;
    run.config.train.steps = 1;
    run.config.train.dtype = dtype;
    run.config.parallel = parallel;
    return run.run().errors[0];
  };
  CHECK_THAT(error_of({.exchange = "shared", .outer_momentum = 0.9}, "f32"), Catch::Contains("outer_momentum does nothing"));
  CHECK_THAT(error_of({.exchange = "auto", .outer_lr = 0.7}, "f32"), Catch::Contains("outer_lr does nothing"));
  CHECK_THAT(error_of({.wire = "bf16"}, "f64"), Catch::Contains("with train.dtype = f64 remove it"));
  CHECK_THAT(error_of({.exchange = "local_sgd", .local_steps = 0}, "f32"), Catch::Contains("allowed is 1 to"));
  CHECK_THAT(error_of({.wire = "f16"}, "f32"), Catch::Contains("parallel.wire = f16 is refused"));  // of a program, which no recipe checks
  CHECK_THAT(error_of({.copies = "2"}, "f32"), Catch::Contains("parallel.copies = 2 is refused"));
  CHECK_THAT(error_of({.overlap = "no"}, "f32"), Catch::Contains("parallel.overlap = no is refused"));
  CHECK_THAT(error_of({.exchange = "local_sgd", .outer_momentum = std::nan("")}, "f32"),
             Catch::Contains("outer_momentum = nan is refused"));
  CHECK(error_of({.exchange = "local_sgd", .outer_lr = 0.7, .outer_momentum = 0.9}, "f64") == "");
}

TEST_CASE("settings that nothing uses are said") {
  struct Words : Log {
    void write(LogLevel, std::string_view text) override { all += text, all += '\n'; }
    std::string all;
  };
  const auto said = [](const ParallelOptions& parallel, int nodes) {
    Words words;
    SmallRun run;
    run.config.train.batch = 32;
    run.config.train.steps = 1;
    run.config.parallel = parallel;
    run.ranks = 2, run.nodes = nodes;
    run.log = &words;
    run.run();
    return words.all;
  };
  CHECK_THAT(said({.wire = "bf16"}, 1), Catch::Contains("parallel.wire = bf16 rounds nothing on one node"));
  CHECK_THAT(said({.overlap = "layers"}, 1), Catch::Contains("parallel.overlap = layers has nothing to carry on one node"));
  CHECK_THAT(said({.wire = "bf16", .overlap = "layers"}, 2), !Catch::Contains("on one node"));
  CHECK_THAT(said({.exchange = "sharded", .local_steps = 3}, 1),
             Catch::Contains("local_steps = 3 does nothing with parallel.exchange = sharded"));
  CHECK_THAT(said({.exchange = "local_sgd", .local_steps = 3}, 1), !Catch::Contains("does nothing"));
}

TEST_CASE("ranks of a program whose optimisers or exchanges differ are told before the first step") {
  const auto errors_of = [](const std::function<void(int, TrainerConfig&)>& per_rank) {
    SmallRun run;
    run.config.train.batch = 32;
    run.config.train.steps = 1;
    run.ranks = 2;
    run.per_rank = per_rank;
    return run.run().errors;
  };
  for (const std::string& error : errors_of([](int rank, TrainerConfig&config) {
         config.parallel.exchange = "local_sgd";
         config.parallel.local_steps = 2 + rank;
       }))
    CHECK_THAT(error, Catch::Contains("parallel.local_steps is '2' on rank 0 and '3' on rank 1"));
  for (const std::string& error : errors_of([](int rank, TrainerConfig&config) { config.parallel.wire = rank ? "bf16" : "f32"; }))
    CHECK_THAT(error, Catch::Contains("parallel.wire is 'f32' on rank 0 and 'bf16' on rank 1"));
}

TEST_CASE("auto says why it takes an exchange without a trial") {
  struct Facts : Callback {
    void on_start(const RunFacts& facts) override { exchange = facts.exchange; }
    std::string exchange;
  };
  const auto said = [](int ranks, int nodes) {
    Facts facts;
    SmallRun run;
    run.config.train.batch = 32;
    run.config.train.steps = 1;
    run.ranks = ranks, run.nodes = nodes;
    run.callbacks = {&facts};
    run.run();
    return facts.exchange;
  };
  CHECK(said(1, 1) == "replicated (one rank)");
  CHECK(said(2, 2) == "shared (one rank a node)");
  CHECK(said(2, 1) == "auto, chosen by the first steps");
}
