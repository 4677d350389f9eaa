// What takes part in a training: terms of the loss within a pass, and gradients between agreement and update.
#include <catch2/catch.hpp>

#include <atomic>
#include <cmath>
#include <mutex>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/tests/train/run_ranks.hpp>

using namespace chorale;

namespace {

SmallRun small_run() {
  SmallRun run;
  run.config.train.batch = 48, run.config.train.steps = 9, run.config.train.seed = 3;
  run.config.parallel.virtual_workers = 6, run.config.parallel.exchange = "replicated";
  run.optimizer.lr = 0.05;
  return run;
}

/// Keeps a hash of each step's gradient, and multiplies it.
struct Gradients final : TrainingHook {
  Gradients(std::vector<std::string>& s, double f) : seen(s), factor(f) {}
  bool takes_gradients() const override { return true; }
  void after_gradients(GradientView& g) override {
    if (!g.is_good()) return seen.push_back("none");
    ContentHash hash;
    hash.add({static_cast<const std::byte*>(g.sums.data), g.sums.bytes()});
    seen.push_back(std::to_string(g.step) + " " + g.params.entries()[0].name + " " + hash.text());
    for (float& each : g.sums.span<float>()) each *= static_cast<float>(factor);
  }
  std::vector<std::string>& seen;
  double factor;
};

struct SeenGradients {
  SmallRun::Result result;
  std::vector<std::vector<std::string>> gradients;  // by rank
};

SeenGradients run_with_gradients(SmallRun run, double factor) {
  SeenGradients out;
  out.gradients.resize(static_cast<std::size_t>(run.ranks));
  run.hook = [&](int rank) { return std::make_unique<Gradients>(out.gradients[static_cast<std::size_t>(rank)], factor); };
  out.result = run.run();
  for (const std::string& error : out.result.errors) CHECK(error == "");
  return out;
}

/// Leaves out every update from step `from` on, and counts how often it may push on what is under way.
struct Idler final : TrainingHook {
  Idler(std::int64_t first, std::atomic<std::int64_t>& count) : from(first), pushes(count) {}
  bool takes_gradients() const override { return true; }
  void after_gradients(GradientView& g) override { g.skips = g.step >= from; }
  void between_layers() override { ++pushes; }
  std::int64_t from;
  std::atomic<std::int64_t>& pushes;
};

/// Mean over rows of 0.5 y^2.
struct Pull final : TrainingHook {
  Variable loss_term(const WorkerPass& pass) override {
    const Variable y = pass.results.at("y");
    return (0.5 / static_cast<double>(y.shape()[0])) * sum(square(y));
  }
};

}  // namespace

TEST_CASE("a hook sees the whole gradient of a step on every rank, with every exchange, and what it leaves alone changes nothing") {
  for (const double clip : {0.0, 0.3}) {
    SmallRun run = small_run();
    run.optimizer.clip_norm = clip;
    const std::string plain = run.run().summary.parameters_hash;
    const SeenGradients reference = run_with_gradients(run, 1);
    CHECK(reference.result.summary.parameters_hash == plain);
    REQUIRE(reference.gradients[0].size() == 9);
    CHECK(reference.gradients[0][0] != reference.gradients[0][1]);
    for (const auto& [exchange, ranks, nodes] : std::vector<std::tuple<std::string, int, int>>{
             {"replicated", 3, 1}, {"shared", 3, 1}, {"sharded", 2, 1}, {"shared", 4, 2}, {"sharded", 4, 2}}) {
      CAPTURE(exchange, ranks, nodes, clip);
      run.config.parallel.exchange = exchange, run.ranks = ranks, run.nodes = nodes;
      const SeenGradients other = run_with_gradients(run, 1);
      CHECK(other.result.summary.parameters_hash == plain);
      for (const auto& gradients : other.gradients) CHECK(gradients == reference.gradients[0]);
    }
  }
}

TEST_CASE("what a hook makes of a gradient is what is clipped and applied") {
  SmallRun run = small_run();
  run.optimizer.name = "sgd", run.ranks = 2, run.config.parallel.exchange = "shared";
  const SeenGradients halved = run_with_gradients(run, 0.5);
  run.optimizer.lr /= 2;
  CHECK(run.run().summary.parameters_hash == halved.result.summary.parameters_hash);  // halves are exact
  run.optimizer.lr *= 2, run.optimizer.clip_norm = 1e-3;                              // clipped to so little that a factor is lost again
  const auto clipped = run_with_gradients(run, 4).result.parameters, whole = run_with_gradients(run, 1).result.parameters;
  for (std::size_t i = 0; i < whole.size(); ++i) CHECK(clipped[i] == Approx(whole[i]).margin(1e-6));
}

TEST_CASE("updates that a hook leaves out change nothing, and it is asked to push on in each backward pass") {
  for (const auto& [exchange, ranks, nodes] :
       std::vector<std::tuple<std::string, int, int>>{{"replicated", 1, 1}, {"shared", 3, 1}, {"sharded", 4, 2}}) {
    CAPTURE(exchange, ranks, nodes);
    SmallRun run = small_run();
    run.config.parallel.exchange = exchange, run.config.parallel.overlap = nodes > 1 ? "layers" : "auto";
    run.ranks = ranks, run.nodes = nodes, run.config.train.steps = 5;
    const std::string five = run.run().summary.parameters_hash;
    run.config.train.steps = 9;
    CHECK(run.run().summary.parameters_hash != five);
    std::atomic<std::int64_t> pushes{0};
    run.hook = [&](int) { return std::make_unique<Idler>(6, pushes); };
    const auto idle = run.run();
    for (const std::string& error : idle.errors) CHECK(error == "");
    CHECK(idle.summary.parameters_hash == five);
    CHECK(pushes == 9 * 6 * 6);  // steps, virtual workers, parameters of three layers
  }
}

TEST_CASE("a step without a finite loss is told to whoever sees gradients, and ranks that agree on none refuse") {
  SmallRun run = small_run();
  run.config.train.on_nan = "skip";
  run.inject = {"nan@0:4"};
  const SeenGradients seen = run_with_gradients(run, 1);
  CHECK(std::count(seen.gradients[0].begin(), seen.gradients[0].end(), "none") == 1);
  run.inject = {}, run.config.parallel.exchange = "local_sgd", run.ranks = 2;
  std::vector<std::string> nothing;
  run.hook = [&](int) { return std::make_unique<Gradients>(nothing, 1); };
  for (const std::string& error : run.run().errors) CHECK_THAT(error, Catch::Contains("local_sgd agrees on no gradient"));
}

TEST_CASE("a term of the loss counts as a mean over the batch, whatever ranks and workers") {
  // With 0.5 y^2 beside it, the gradient at y is p - t + y: with mse 0.5 (y - t)^2 + 0.5 y^2 that is 2 y - t.
  SmallRun run = small_run();
  run.optimizer.name = "sgd", run.config.train.loss = "mse";
  run.hook = [](int) { return std::make_unique<Pull>(); };
  const auto one = run.run();
  CHECK(one.errors[0] == "");
  run.ranks = 3, run.config.parallel.exchange = "shared";
  CHECK(run.run().summary.parameters_hash == one.summary.parameters_hash);
  run.hook = {};
  CHECK(run.run().summary.parameters_hash != one.summary.parameters_hash);
  // Over one worker or six, the mean over the batch is the same number.
  run.ranks = 1, run.config.parallel.exchange = "replicated", run.layers = "linear(1)";
  run.hook = [](int) { return std::make_unique<Pull>(); };
  const auto six = run.run();
  run.config.parallel.virtual_workers = 1;
  const auto single = run.run();
  for (std::size_t i = 0; i < six.parameters.size(); ++i) CHECK(single.parameters[i] == Approx(six.parameters[i]).margin(1e-6));
}
