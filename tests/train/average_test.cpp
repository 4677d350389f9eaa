// The moving average of the parameters: what it is, who evaluates it, that it survives a cut.
#include "folder.hpp"
#include "results.hpp"

#include <catch2/catch.hpp>

using namespace chorale;

namespace {

SmallRun run_with_average(double decay) {
  SmallRun run;
  run.config.train.batch = 32, run.config.train.epochs = 3;
  run.config.train.metrics = {"auc"};
  run.config.train.ema = decay;
  run.config.parallel.virtual_workers = 4;
  run.optimizer.lr = 0.05;
  return run;
}

struct ValidationLosses : Callback {
  void on_evaluation(const EvaluationEvent& e) override {
    if (!e.final) losses.push_back(e.scores.at("validation").at("loss"));
  }
  std::vector<double> losses;
};

/// All parameters after each step, in the arena's order.
struct EachStep final : TrainingHook {
  explicit EachStep(std::vector<std::vector<float>>& all) : seen(all) {}
  void begin(const TrainedParameters& p) override { params = p.params, note(); }
  void after_step(std::int64_t) override { note(); }
  void note() { seen.emplace_back(params->values().span<float>().begin(), params->values().span<float>().end()); }
  std::vector<std::vector<float>>& seen;
  FlatParams* params = nullptr;
};

std::vector<float> saved_average(const std::filesystem::path& folder, const std::string& name) {
  SilentLog log;
  const auto checkpoint = newest_valid_checkpoint(folder, log);
  REQUIRE(checkpoint);
  const SafetensorsFile state = checkpoint->tensors("state.safetensors");
  const NamedTensor& t = state.at("ema." + name);
  const auto* data = static_cast<const float*>(t.data);
  return {data, data + t.shape.elements()};
}

}  // namespace

TEST_CASE("the average follows its formula, is saved, and changes nothing of the training") {
  Folder folder;
  SmallRun run = run_with_average(0.9);
  run.config.checkpoint_folder = folder.path.string();
  std::vector<std::vector<float>> steps;
  run.hook = [&](int) { return std::make_unique<EachStep>(steps); };
  const auto result = run.run();
  check_no_errors(result);
  REQUIRE(steps.size() == 22);
  std::vector<double> mean(steps[0].begin(), steps[0].end());
  for (std::size_t t = 1; t < steps.size(); ++t) {
    const double decay = std::min(0.9, (1.0 + static_cast<double>(t)) / (10.0 + static_cast<double>(t)));
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = decay * mean[i] + (1 - decay) * static_cast<double>(steps[t][i]);
  }
  const std::vector<float> last = saved_average(folder.path, "5.weight");  // the last layer is the first of the arena
  for (std::size_t i = 0; i < last.size(); ++i) CHECK(static_cast<double>(last[i]) == Approx(mean[i + 16]).epsilon(1e-5));
  SmallRun plain = run_with_average(0);
  const auto without = plain.run();
  CHECK(without.summary.parameters_hash == result.summary.parameters_hash);
  CHECK(without.summary.ema_parameters_hash == "");
  CHECK(result.summary.best_parameters_hash == result.summary.ema_parameters_hash);
}

TEST_CASE("evaluations and best weights are of the average") {
  ValidationLosses of_average, of_parameters;
  SmallRun run = run_with_average(0.95), plain = run_with_average(0);
  run.callbacks = {&of_average}, plain.callbacks = {&of_parameters};
  run.config.train.early_stop = plain.config.train.early_stop = {"validation.loss", "10"};
  const auto result = run.run(), without = plain.run();
  check_no_errors(result);
  CHECK(of_average.losses.size() == 3);
  CHECK(of_average.losses != of_parameters.losses);
  CHECK(result.summary.parameters_hash == without.summary.parameters_hash);
  const double best = *std::min_element(of_average.losses.begin(), of_average.losses.end());
  CHECK(result.summary.metrics.at("validation").at("loss") == best);
}

TEST_CASE("a run with an average that is cut ends as the whole run, at another number of ranks and nodes") {
  for (const std::string rule : {"adam", "adafactor", "lamb", "nadam"}) {
    SmallRun run = run_with_average(0.9);
    run.optimizer.name = rule;
    const auto whole = run.run();
    check_no_errors(whole);
    for (const auto& [exchange, nodes] : std::vector<std::pair<std::string, int>>{{"shared", 1}, {"sharded", 2}}) {
      CAPTURE(rule, exchange, nodes);
      Folder folder;
      SmallRun cut = run;
      cut.config.checkpoint_folder = folder.path.string();
      cut.config.train.steps = 9;
      cut.ranks = 4, cut.nodes = nodes, cut.config.parallel.exchange = exchange;
      check_no_errors(cut.run());
      cut.config.train.steps = 0, cut.config.resume = true, cut.ranks = nodes == 2 ? 3 : 2, cut.nodes = nodes == 2 ? 3 : 1;
      const auto resumed = cut.run();
      check_no_errors(resumed);
      CHECK(resumed.summary.parameters_hash == whole.summary.parameters_hash);
      CHECK(resumed.summary.ema_parameters_hash == whole.summary.ema_parameters_hash);
      CHECK(resumed.summary.metrics == whole.summary.metrics);
    }
  }
}

TEST_CASE("an average of parameters that ranks do not agree on is refused") {
  SmallRun run = run_with_average(0.9);
  run.config.parallel.exchange = "local_sgd";
  CHECK_THAT(run.run().errors[0], Catch::Contains("train.ema averages parameters that all ranks agree on"));
}
