// Tasks in lock-step, trained by the trainer: trunk.
#include "lockstep_run.hpp"

using namespace chorale;

TEST_CASE("a trunk over two sets of ranks with the rows of one task is data parallelism, bit for bit") {
  // One epoch of 20 batches of 32 rows, of which each set has 16: the rows are put where both samplers draw them.
  constexpr std::int64_t kSteps = 20, kHalf = 16, kRows = kSteps * kHalf;
  const std::shared_ptr<PersonTable> halves[] = {person_table(0, kRows), person_table(0, kRows, 5000)};
  Sampler half({.rows = kRows, .batch = kHalf, .seed = 5}), whole({.rows = 2 * kRows, .batch = 2 * kHalf, .seed = 5});
  auto both = std::make_shared<PersonTable>();
  both->x.resize(2 * kRows * kFeatures), both->target.resize(2 * kRows);
  for (std::int64_t step = 0; step < kSteps; ++step)
    for (std::int64_t i = 0; i < 2 * kHalf; ++i) {
      const auto from = static_cast<std::size_t>(half.rows(0, step)[static_cast<std::size_t>(i % kHalf)]);
      const auto to = static_cast<std::size_t>(whole.rows(0, step)[static_cast<std::size_t>(i)]);
      const PersonTable& table = *halves[i / kHalf];
      both->target[to] = table.target[from];
      std::copy_n(table.x.begin() + static_cast<std::ptrdiff_t>(from) * kFeatures, kFeatures,
                  both->x.begin() + static_cast<std::ptrdiff_t>(to) * kFeatures);
    }
  const auto rows_in = [](const std::shared_ptr<PersonTable>& table) {
    std::vector<std::int64_t> all(table->target.size());
    std::iota(all.begin(), all.end(), std::int64_t{0});
    return std::make_shared<MatrixDataset>(matrix_of(table), all);
  };
  Registry registry;
  register_all(registry);
  const auto device = make_cpu_device();
  TrainerConfig config;
  config.train.batch = 2 * kHalf, config.train.steps = kSteps, config.train.seed = 5;
  config.parallel.virtual_workers = 4;
  const auto model = build_layers("linear(8) tanh linear(6) tanh linear(1)", {kFeatures}, registry);
  const auto loss = make_loss(config.train, {}, registry);
  const auto optimizer = make_optimizer({.lr = 0.01}, registry);
  const auto self = make_self_communicator();
  SilentLog log;
  Trainer trainer({*self, *device, *model, *loss, *optimizer, registry, log, rows_in(both), nullptr, nullptr}, config);
  const std::string expected = trainer.run().parameters_hash;

  for (const auto& ranks : {std::vector<std::int64_t>{1, 1}, {2, 1}, {2, 2}}) {
    Lockstep run = lockstep("trunk", ranks);
    run.options.trunk.parameters = {"*"};
    run.options.plan.ticks = 4;
    run.batch = {kHalf, kHalf}, run.seeds = {5, 5}, run.virtual_workers = 2;
    for (std::size_t t = 0; t < 2; ++t) {
      run.tasks[t].weight = 0.5;
      run.rows[t] = {
          .train = rows_in(halves[t]), .validation = nullptr, .test = nullptr, .all = rows_in(halves[t]), .entities = {halves[t]->ids}};
    }
    const Lockstep::Result result = run.run();
    REQUIRE(result.error().empty());
    CHECK(result.summaries[0].parameters_hash == expected);
    CHECK(result.summaries[1].parameters_hash == expected);
  }
}

TEST_CASE("shared layers are equal in all tasks, heads are not, and no layout shows") {
  const int variant = GENERATE(0, 1, 2);
  const auto run = [&](std::vector<std::int64_t> ranks, const std::string& exchange, std::int64_t nodes, std::vector<int> order = {}) {
    Lockstep one = lockstep("trunk", std::move(ranks));
    one.tasks[1].weight = 2, one.batch = {32, 24, 50};
    one.options.trunk.pcgrad = variant == 1, one.options.trunk.uncertainty_lr = variant > 0 ? 0.05 : 0;
    one.exchange = exchange, one.nodes = nodes, one.order = std::move(order), one.options.plan.ticks = 20;
    return one.run();
  };
  const Lockstep::Result first = run({1, 1, 1}, "auto", 1);
  REQUIRE(first.error().empty());
  for (const std::string name : {"0.weight", "0.bias", "2.weight", "2.bias"}) {
    CHECK(first.values[0].at(name) == first.values[1].at(name));
    CHECK(first.values[0].at(name) == first.values[2].at(name));
  }
  CHECK(first.values[0].at("4.weight") != first.values[1].at("4.weight"));
  for (std::size_t t = 0; t < 3; ++t) CHECK(first.summaries[t].metrics.at("validation").at("auc") > 0.8);
  const auto same = [&](const Lockstep::Result& other) {
    REQUIRE(other.error().empty());
    for (std::size_t t = 0; t < 3; ++t) {
      CHECK(other.summaries[t].parameters_hash == first.summaries[t].parameters_hash);
      CHECK(other.summaries[t].metrics == first.summaries[t].metrics);
    }
  };
  same(run({2, 1, 3}, "shared", 1));
  same(run({3, 2, 2}, "replicated", 1));
  same(run({2, 3, 2}, "sharded", 1));
  same(run({2, 2, 2}, "sharded", 2));
  same(run({2, 2, 2}, "shared", 2, {0, 1, 2, 0, 1, 2}));
}

TEST_CASE("with scales each task has weights of its own times those in common, and begins as without") {
  Registry registry;
  register_all(registry);
  const auto device = make_cpu_device();
  std::vector<float> results[2];
  for (const bool scaled : {false, true}) {
    const auto model = build_layers("linear(8) tanh linear(6) tanh linear(1)", {kFeatures}, registry);
    if (scaled) add_task_scales(*model, {kFeatures}, {});
    FlatParams params(*model, *device, DType::f32);
    const Tensor values = Tensor::zeros(*device, {params.elements()}, DType::f32);
    params.bind(values.buffer());
    params.initialise(3, "torch");
    Tensor x = Tensor::empty(*device, {5, kFeatures}, DType::f32);
    for (std::int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = 0.1f * static_cast<float>(i % 7) - 0.2f;
    const Tensor y = model->forward(Variable(x), {.device = *device}).value();
    results[scaled].assign(y.data<float>(), y.data<float>() + y.elements());
  }
  CHECK(results[0] == results[1]);
  Lockstep run = lockstep("trunk", {1, 1, 1});
  run.options.trunk.scales = true;
  const Lockstep::Result one = run.run();
  REQUIRE(one.error().empty());
  for (const char* name : {"0.weight", "2.weight", "2.bias"}) CHECK(one.values[0].at(name) == one.values[1].at(name));
  for (const char* name : {"task_in_0.scale", "task_out_0.scale", "task_in_2.scale", "task_out_2.scale"})
    CHECK(one.values[0].at(name) != one.values[1].at(name));
  CHECK(one.values[0].count("task_in_4.scale") == 0);  // the head is nobody's but the task's
  for (TaskInfo& task : run.tasks) task.ranks = 2;
  const Lockstep::Result two = run.run();
  REQUIRE(two.error().empty());
  for (std::size_t t = 0; t < 3; ++t) CHECK(two.summaries[t].parameters_hash == one.summaries[t].parameters_hash);
  run.options.trunk.parameters = {"2.*"};
  const Lockstep::Result second = run.run();
  CHECK(second.values[0].count("task_in_0.scale") == 0);
  CHECK(second.values[0].count("task_in_2.scale") == 1);
  run.layers = "linear(1)";
  CHECK_THAT(run.run().error(), Catch::Contains("collab.trunk.scales has nothing to scale"));
}

TEST_CASE("bytes of a trunk follow its formula") {
  Lockstep run = lockstep("trunk", {2, 1, 3});
  const Lockstep::Result six = run.run();
  run.options.plan.ticks = 12;
  const Lockstep::Result twelve = run.run();
  std::uint64_t more = 0;
  for (std::size_t r = 0; r < 6; ++r) more += twelve.bytes[r] - six.bytes[r];
  // 8 * 4 + 8 + 6 * 8 + 6 shared values in one lane: T - 1 copies above 1 KiB, T below; then in each of two tasks of several ranks.
  const std::uint64_t elements = 8 * 4 + 8 + 6 * 8 + 6;
  const std::uint64_t without_probes = 6 * 5 * 4 * elements * (3 + 2) + 3 * affinity_bytes(6, true, 0) + 3 * affinity_bytes(6, false, 0);
  REQUIRE(more > without_probes);
  const std::uint64_t probes = (more - without_probes) / (4 * 6);  // of two pairs of each task, some of them the same
  CHECK(more == without_probes + 4 * 6 * probes);
  CHECK(probes >= 3 * 6 * 32);
  CHECK(probes <= 3 * 6 * 64);
}

TEST_CASE("values that are averaged at ticks are equal behind them, with unequal steps") {
  const auto run = [](std::vector<std::int64_t> ranks) {
    Lockstep one = lockstep("trunk", std::move(ranks));
    one.options.trunk.average_every = 2;
    one.steps_per_tick = {6, 3, 4};
    return one.run();
  };
  const Lockstep::Result first = run({1, 1, 1}), other = run({2, 3, 1});
  REQUIRE((first.error().empty() && other.error().empty()));
  CHECK(first.values[0].at("2.weight") == first.values[1].at("2.weight"));
  CHECK(first.values[0].at("2.weight") == first.values[2].at("2.weight"));
  CHECK(first.values[0].at("4.weight") != first.values[1].at("4.weight"));
  CHECK(first.summaries[0].steps == 2 * first.summaries[1].steps);
  for (std::size_t t = 0; t < 3; ++t) CHECK(first.summaries[t].parameters_hash == other.summaries[t].parameters_hash);
  Lockstep odd = lockstep("trunk", {1, 1, 1});
  odd.options.trunk.average_every = 4;  // 6 ticks: the last average is two ticks old
  const Lockstep::Result apart = odd.run();
  CHECK(apart.values[0].at("2.weight") != apart.values[1].at("2.weight"));
}

TEST_CASE("a loss that is not finite is told by the task that has it, without waiting for others") {
  for (const std::string strategy : {"trunk", "stitch"}) {
    Lockstep run = lockstep(strategy, {1, 1});
    run.seeds = {5, 5}, run.inject = "nan@1:7";
    const Lockstep::Result result = run.run();
    CHECK_THAT(result.errors[1], Catch::Contains("loss is not finite at step 7"));
    CHECK(!result.errors[0].empty());
  }
}
