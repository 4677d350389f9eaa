// Frozen, held and slower parameters; weights of another run: same bits at every number of ranks and by every exchange, and after a resume.
#include "folder.hpp"
#include "results.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <mutex>

#include <chorale/train/starting_weights.hpp>

using namespace chorale;

namespace {

/// Three epochs of seven steps; layers 0, 3 and 5 have parameters.
SmallRun three_epochs() {
  SmallRun run;
  run.config.train.batch = 32;
  run.config.train.epochs = 3;
  run.config.parallel.virtual_workers = 4;
  run.optimizer.lr = 0.01;
  run.optimizer.weight_decay = 0.1;
  return run;
}

/// The parameters of a run by name, from its newest checkpoint.
std::map<std::string, std::vector<float>> weights_of(SmallRun run, std::int64_t steps, const std::string& file = "model.safetensors") {
  Folder folder;
  run.config.checkpoint_folder = folder.path.string();
  run.config.train.steps = steps;
  check_no_errors(run.run());
  SilentLog log;
  const auto checkpoint = newest_valid_checkpoint(folder.path, log);
  REQUIRE(checkpoint);
  const SafetensorsFile tensors = checkpoint->tensors(file);
  std::map<std::string, std::vector<float>> out;
  for (const NamedTensor& t : tensors.tensors()) {
    const auto* data = static_cast<const float*>(t.data);
    out[t.name].assign(data, data + t.shape.elements());
  }
  return out;
}

std::string refusal(const SmallRun& run) {
  const auto result = run.run();
  return result.errors[0];
}

}  // namespace

TEST_CASE("a frozen parameter keeps its bits and has neither state nor bytes on the wire") {
  SmallRun run = three_epochs();
  const auto start = weights_of(run, 1);
  const std::uint64_t whole = [&] {
    SmallRun two = three_epochs();
    two.ranks = two.nodes = 2;
    return two.run().bytes_per_step[0];
  }();
  SmallRun frozen = three_epochs();
  frozen.config.train.freeze = {"encoder.0"};
  const auto first = weights_of(frozen, 1), last = weights_of(frozen, 21);
  CHECK(first.at("0.weight") == last.at("0.weight"));
  CHECK(first.at("0.bias") == last.at("0.bias"));
  CHECK(first.at("3.weight") != last.at("3.weight"));
  CHECK(first.at("0.weight") != start.at("0.weight"));
  const auto state = weights_of(frozen, 2, "optimizer.safetensors");
  CHECK(!state.contains("exp_avg.0.weight"));
  CHECK(state.contains("exp_avg.3.weight"));
  frozen.ranks = frozen.nodes = 2;
  const auto result = frozen.run();
  check_no_errors(result);
  // Of two nodes each sends half of the sums and half of the new values to the other.
  CHECK(result.bytes_per_step[0] < whole);
  const std::uint64_t frozen_elements = 16 * 7 + 16;
  CHECK(whole - result.bytes_per_step[0] == frozen_elements * 4);
}

TEST_CASE("held parameters, rates of their own and frozen ones give the same bits at every number of ranks and by every exchange") {
  for (const std::string rule : {"adam", "sgd"})
    for (const double clip : {0.0, 0.5}) {
      SmallRun run = three_epochs();
      run.optimizer.name = rule;
      if (rule == "sgd") run.optimizer.momentum = 0.9, run.optimizer.lr = 0.05;
      run.optimizer.clip_norm = clip;
      run.config.train.freeze = {"encoder"};
      run.config.train.unfreeze = {"encoder.3:1"};
      run.optimizer.lr_factors = {"encoder:0.1", "*.bias:2"};
      run.config.parallel.exchange = "replicated";
      const auto reference = run.run();
      check_no_errors(reference);
      for (const std::string exchange : {"replicated", "shared", "sharded"})
        for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{1, 1}, {3, 1}, {4, 2}}) {
          CAPTURE(rule, clip, exchange, ranks, nodes);
          run.ranks = ranks, run.nodes = nodes, run.config.parallel.exchange = exchange;
          const auto result = run.run();
          check_no_errors(result);
          for (const std::string& hash : result.hashes) CHECK(hash == reference.summary.parameters_hash);
        }
    }
}

TEST_CASE("a held parameter keeps its bits until its epoch, then it learns as from its first step") {
  SmallRun run = three_epochs();
  run.optimizer.lr = 0.125;
  run.optimizer.weight_decay = 0;
  run.config.train.unfreeze = {"encoder.0:1", "encoder.3:2"};  // an epoch has seven steps
  const auto first = weights_of(run, 1), seventh = weights_of(run, 7), eighth = weights_of(run, 8), last = weights_of(run, 14);
  CHECK(first.at("0.weight") == seventh.at("0.weight"));
  CHECK(seventh.at("0.weight") != eighth.at("0.weight"));
  CHECK(first.at("3.weight") == last.at("3.weight"));
  CHECK(first.at("5.weight") != seventh.at("5.weight"));
  // Adam's first update of a parameter is the rate, whatever the gradient: its own count of steps begins there.
  for (std::size_t i = 0; i < 20; ++i) {
    const double moved = std::fabs(static_cast<double>(eighth.at("0.weight")[i]) - static_cast<double>(seventh.at("0.weight")[i]));
    CHECK((moved == 0 || std::fabs(moved - 0.125) < 1e-3));
  }
  SmallRun by_steps = run;
  by_steps.config.train.unfreeze = {}, by_steps.config.train.unfreeze_steps = {"encoder.0:7", "encoder.3:14"};
  CHECK(by_steps.run().summary.parameters_hash == run.run().summary.parameters_hash);
}

TEST_CASE("weight decay leaves out parameters of one dimension unless it is asked for all") {
  SmallRun run = three_epochs();
  run.config.train.freeze = {"*.weight"};  // only biases are trained
  run.optimizer.name = "adamw";
  SmallRun without = run, all = run;
  without.optimizer.weight_decay = 0, all.optimizer.decay_all = true;
  CHECK(run.run().summary.parameters_hash == without.run().summary.parameters_hash);
  CHECK(run.run().summary.parameters_hash != all.run().summary.parameters_hash);
  run.config.train.freeze = all.config.train.freeze = without.config.train.freeze = {"*.bias"};
  CHECK(run.run().summary.parameters_hash != without.run().summary.parameters_hash);
  CHECK(run.run().summary.parameters_hash == all.run().summary.parameters_hash);
}

TEST_CASE("a factor of the rate multiplies the updates of its parameters alone") {
  SmallRun run = three_epochs();
  run.optimizer.name = "sgd", run.optimizer.weight_decay = 0, run.optimizer.lr = 0.5;
  run.config.train.unfreeze_steps = {"0:30", "3:30"};  // one layer that learns, so that others change nothing
  SmallRun slow = run;
  slow.optimizer.lr_factors = {"head:0.5"};
  SmallRun half = run;
  half.optimizer.lr = 0.25;
  CHECK(slow.run().summary.parameters_hash == half.run().summary.parameters_hash);
  CHECK(slow.run().summary.parameters_hash != run.run().summary.parameters_hash);
}

TEST_CASE("a run with held parameters that is cut before or after they are let go ends as the whole run") {
  SmallRun run = three_epochs();
  run.config.train.early_stop = {"validation.loss", "50"};
  run.config.train.freeze = {"0.bias"};
  run.config.train.unfreeze_steps = {"encoder.3:9", "0.weight:4"};
  run.optimizer.lr_factors = {"encoder:0.3"};
  const auto whole = run.run();
  for (const std::int64_t cut : {2, 8, 9, 10, 15}) {
    CAPTURE(cut);
    Folder folder;
    SmallRun part = run;
    part.config.checkpoint_folder = folder.path.string();
    part.config.train.steps = cut;
    part.run();
    part.config.train.steps = 0, part.config.resume = true, part.ranks = 2;
    const auto resumed = part.run();
    check_no_errors(resumed);
    CHECK(resumed.summary.parameters_hash == whole.summary.parameters_hash);
    CHECK(resumed.summary.best_parameters_hash == whole.summary.best_parameters_hash);
  }
}

TEST_CASE("patterns that mean nothing, and rules that contradict each other, are refused with the names that there are") {
  SmallRun run = three_epochs();
  run.config.train.freeze = {"encodr"};
  CHECK_THAT(refusal(run), Catch::Contains("train.freeze: 'encodr' means no parameter") && Catch::Contains("5.weight (head.weight)") &&
                               Catch::Contains("0.bias (encoder.0.bias)"));
  run.config.train.freeze = {"*"};
  CHECK_THAT(refusal(run), Catch::Contains("leaves nothing to train"));
  run.config.train.freeze = {}, run.config.train.unfreeze = {"encoder"};
  CHECK_THAT(refusal(run), Catch::Contains("write PATTERN:NUMBER"));
  run.config.train.unfreeze = {"encoder:0"};
  CHECK_THAT(refusal(run), Catch::Contains("epochs above 0"));
  run.config.train.unfreeze = {"encoder:1"}, run.config.parallel.exchange = "local_sgd";
  CHECK_THAT(refusal(run), Catch::Contains("local_sgd would round them"));
  run.config.train.unfreeze = {}, run.optimizer.lr_factors = {"neck:0.1"};
  CHECK_THAT(refusal(run), Catch::Contains("optimizer.lr_factors: 'neck' means no parameter"));
}

namespace {

FittedColumn number(const std::string& name, double shift = 0) {
  FittedColumn c;
  c.name = name, c.scale = Scale::standardise, c.shift = shift;
  return c;
}

FittedColumn category(const std::string& name, std::vector<std::string> categories, CategoryCode code = CategoryCode::one_hot) {
  FittedColumn c;
  c.name = name, c.type = ColumnType::category, c.code = code, c.categories = std::move(categories);
  return c;
}

/// A model of its own arena, every element i of parameter p being 100 p + i.
struct Counted {
  Counted(const std::string& layers, std::int64_t features, double start = 0) {
    register_all(registry);
    model = build_layers(layers, {features}, registry);
    params = std::make_unique<FlatParams>(*model, *device, DType::f32);
    memory = Tensor::zeros(*device, {params->elements()}, DType::f32);
    params->bind(memory.buffer());
    for (std::size_t p = 0; p < params->entries().size(); ++p)
      for (std::int64_t i = 0; i < params->entries()[p].count; ++i)
        at(p)[i] = static_cast<float>(start + 100.0 * static_cast<double>(p) + static_cast<double>(i));
  }
  float* at(std::size_t entry) { return params->values().part(params->entries()[entry].first, params->entries()[entry].count).as<float>(); }
  std::vector<float> values(const std::string& name) {
    for (std::size_t p = 0; p < params->entries().size(); ++p)
      if (params->entries()[p].name == name) return {at(p), at(p) + params->entries()[p].count};
    return {};
  }
  WeightSource source(std::vector<FittedColumn> columns) {
    WeightSource out{.where = "runs/old", .tensors = {}, .pipeline = {}};
    out.pipeline.columns = std::move(columns);
    for (const FlatParams::Entry& e : params->entries())
      out.tensors.push_back({e.name, DType::f32, e.parameter->shape(), params->values().part(e.first, e.count).data});
    return out;
  }
  Registry registry;
  std::unique_ptr<Device> device = make_cpu_device();
  std::unique_ptr<Sequential> model;
  std::unique_ptr<FlatParams> params;
  Tensor memory;
};

Pipeline pipeline_of(std::vector<FittedColumn> columns) {
  Pipeline out;
  out.columns = std::move(columns);
  return out;
}

std::string outcome(const StartingWeights& weights, const std::string& name) {
  for (const TransferLine& line : weights.lines())
    if (line.name == name)
      return std::vector<std::string>{"loaded", "mapped", "not loaded: ", "unused: "}[static_cast<std::size_t>(line.outcome)] +
             (line.outcome == TransferLine::Outcome::mapped ? " " : "") + line.why;
  return "nothing is said of it";
}

}  // namespace

TEST_CASE("weights are loaded by name and shape, and what is not is told why") {
  Counted old("linear(4) relu linear(3) relu linear(1)", 2, 5000), fresh("linear(4) relu linear(6) relu linear(1)", 2);
  const std::vector<FittedColumn> columns = {number("a"), number("b")};
  WeightSource source = old.source(columns);
  source.tensors.push_back({"gates", DType::f32, {1, 2}, old.memory.raw()});
  const StartingWeights all(*fresh.model, DType::f32, pipeline_of(columns), source, {});
  all.write(*fresh.params);
  CHECK(fresh.values("0.weight") == old.values("0.weight"));
  CHECK(fresh.values("4.bias") == old.values("4.bias"));
  CHECK(fresh.values("2.weight")[0] < 5000);
  CHECK(outcome(all, "0.weight") == "loaded");
  CHECK(outcome(all, "2.weight") == "not loaded: other shape: [3, 4] there, [6, 4] here");
  CHECK(outcome(all, "gates") == "unused: the new model has no such name");
  CHECK_THAT(all.text(), Catch::Contains("starts with weights of runs/old: 0.weight, 0.bias") && Catch::Contains("2.bias: other shape"));
  const StartingWeights some(*fresh.model, DType::f32, pipeline_of(columns), source, {"encoder.*"});
  CHECK(outcome(some, "4.weight") == "not loaded: not asked for");
  CHECK(some.loaded() == 2);
  Counted wide("linear(4) relu linear(3) relu linear(1)", 2);
  CHECK_THROWS_WITH(StartingWeights(*wide.model, DType::f64, pipeline_of(columns), source, {}),
                    Catch::Contains("nothing can be loaded") && Catch::Contains("other type: f32 [4, 2] there, f64 [4, 2] here") &&
                        Catch::Contains("The new model has 0.weight (encoder.0.weight)") && Catch::Contains("the run has ") &&
                        Catch::Contains("gates"));
  CHECK_THROWS_WITH(StartingWeights(*wide.model, DType::f32, pipeline_of(columns), source, {"decoder"}),
                    Catch::Contains("train.init_only: 'decoder' means no parameter"));
}

TEST_CASE("the first layer goes by the names of features, with other columns, categories and orders") {
  Counted old("linear(2) relu linear(1)", 6, 5000), fresh("linear(2) relu linear(1)", 6);
  const auto there = {number("age", 40), category("city", {"Bonn", "Rome"}), number("rent"),
                      category("rank", {"a", "b"}, CategoryCode::ordinal)};
  const auto here = {category("city", {"Oslo", "Rome"}), number("age", 50), category("rank", {"a", "c"}, CategoryCode::ordinal),
                     number("debt")};
  const StartingWeights weights(*fresh.model, DType::f32, pipeline_of(here), old.source(there), {});
  const std::vector<float> before = fresh.values("0.weight"), from = old.values("0.weight");
  weights.write(*fresh.params);
  const std::vector<float> now = fresh.values("0.weight");
  for (std::size_t row = 0; row < 2; ++row) {  // there: age Bonn Rome other rent rank; here: Oslo Rome other age rank debt
    CHECK(now[6 * row + 0] == before[6 * row + 0]);
    CHECK(now[6 * row + 1] == from[6 * row + 2]);
    CHECK(now[6 * row + 2] == from[6 * row + 3]);
    CHECK(now[6 * row + 3] == from[6 * row + 0]);
    CHECK(now[6 * row + 4] == before[6 * row + 4]);  // the number of a category means another one
    CHECK(now[6 * row + 5] == before[6 * row + 5]);
  }
  CHECK(outcome(weights, "0.weight") == "mapped 3 of 6 features by name, of 6 there; these start anew: city=Oslo, rank, debt");
  CHECK(weights.encoded_otherwise() == std::vector<std::string>{"age"});
  Counted alien("linear(2) relu linear(1)", 1);
  const StartingWeights none(*alien.model, DType::f32, pipeline_of({number("x")}), old.source(there), {});
  CHECK(outcome(none, "0.weight") == "not loaded: the two tables have no feature of one name and meaning");
}

TEST_CASE("rows that stand for tokens are not loaded where the two texts have other tokens") {
  const std::string layers = "embedding(4, 3) linear(3) linear(4)";
  Counted old(layers, 2, 5000), fresh(layers, 2);
  WeightSource source = old.source({});
  source.pipeline.tokens = {.kind = "character", .context = 2, .characters = {"a", "b", "c"}};
  Pipeline same, other;
  same.tokens = source.pipeline.tokens, other.tokens = source.pipeline.tokens;
  other.tokens.characters[2] = "d";
  const StartingWeights some(*fresh.model, DType::f32, other, source, {}), all(*fresh.model, DType::f32, same, source, {});
  CHECK(outcome(some, "0.weight") == "not loaded: a row a token, and the two texts have other tokens");
  CHECK(outcome(some, "1.weight") == "loaded");
  CHECK(outcome(some, "2.bias") == "not loaded: a row a token, and the two texts have other tokens");
  CHECK(all.loaded() == 5);
}
