// Tasks in lock-step, trained by the trainer: trunk and stitch.
#include <catch2/catch.hpp>

#include <map>
#include <mutex>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/train/collab/collab_task.hpp>
#include <chorale/train/collab/task_scale.hpp>
#include <chorale/train/trainer.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kFeatures = 4;

/// Rows of persons; the target of task t is another function of the same features.
struct PersonTable {
  std::vector<float> x, target;
  std::vector<EntityId> ids;
};

std::shared_ptr<PersonTable> person_table(std::uint64_t task, std::int64_t rows, std::int64_t first = 0) {
  auto table = std::make_shared<PersonTable>();
  for (std::int64_t p = first; p < first + rows; ++p) {
    RandomStream random(mix(99, static_cast<std::uint64_t>(p)));
    double sum = 0;
    for (std::int64_t f = 0; f < kFeatures; ++f) {
      table->x.push_back(static_cast<float>(random.normal()));
      sum += table->x.back() * static_cast<double>((f + static_cast<std::int64_t>(task)) % kFeatures);
    }
    table->target.push_back(sum + random.normal() > 0 ? 1.0f : 0.0f);
    table->ids.push_back(entity_id("person", std::to_string(p)));
  }
  return table;
}

FeatureMatrix matrix_of(const std::shared_ptr<PersonTable>& table) {
  return {.rows = static_cast<std::int64_t>(table->target.size()),
          .features = kFeatures,
          .x = table->x.data(),
          .target = table->target.data(),
          .owner = table};
}

/// The first 4 of 5 rows train, the others validate; `order`: the training rows, by the number in the table.
TaskRows rows_of(const std::shared_ptr<PersonTable>& table) {
  const FeatureMatrix matrix = matrix_of(table);
  std::vector<std::int64_t> rows[3];
  for (std::int64_t r = 0; r < matrix.rows; ++r) rows[r < matrix.rows * 4 / 5 ? 0 : 1].push_back(r), rows[2].push_back(r);
  const auto set = [&](int part) { return std::make_shared<MatrixDataset>(matrix, rows[part]); };
  return {.train = set(0), .validation = set(1), .test = nullptr, .all = set(2), .entities = {table->ids}};
}

struct Heard final : Callback {
  explicit Heard(std::vector<double>& to) : to_(to) {}
  void on_evaluation(const EvaluationEvent& event) override {
    if (const auto part = event.scores.find("validation"); part != event.scores.end()) to_.push_back(part->second.at("auc"));
  }
  std::vector<double>& to_;
};

struct Lockstep {
  std::vector<TaskInfo> tasks;
  std::vector<TaskRows> rows;  // by task
  CollabOptions options;
  std::vector<std::int64_t> steps_per_tick = {5, 5, 5};
  std::vector<std::int64_t> batch = {32, 32, 32};
  std::int64_t virtual_workers = 6, nodes = 1;
  std::vector<std::uint64_t> seeds = {5, 6, 7};
  std::string exchange = "auto", layers = "linear(8) tanh linear(6) tanh linear(1)";
  std::vector<int> order = {};  // by rank: its task; empty: consecutive
  std::string inject = {};
  std::vector<std::string> early_stop = {};

  struct Result {
    std::vector<std::map<std::string, std::vector<float>>> values;  // by task, by parameter
    std::vector<Summary> summaries;
    std::vector<std::vector<double>> evaluations;  // by task: validation AUC as it came, the final one last
    std::vector<std::string> errors;               // by rank
    std::vector<std::uint64_t> bytes;              // by rank, of sharing
    std::string error() const {
      std::string all;
      for (const std::string& each : errors) all += each.empty() ? "" : each + "\n";
      return all;
    }
  };

  Result run() const {
    std::vector<int> task_of = order;
    int ranks = 0;
    for (const TaskInfo& task : tasks) ranks += static_cast<int>(task.ranks);
    if (task_of.empty()) task_of = lay_out(tasks, ranks);
    auto world = make_thread_communicators(ranks, static_cast<int>(nodes));
    Result out;
    out.errors.resize(task_of.size()), out.bytes.resize(task_of.size());
    out.values.resize(tasks.size()), out.summaries.resize(tasks.size()), out.evaluations.resize(tasks.size());
    std::vector<std::thread> threads;
    for (std::size_t r = 0; r < task_of.size(); ++r)
      threads.emplace_back([&, r] {
        try {
          rank_body(*world[r], static_cast<int>(r), static_cast<std::size_t>(task_of[r]), out);
        } catch (const std::exception& e) {
          out.errors[r] = e.what();
          world[r]->abort(e.what());
        }
      });
    for (std::thread& thread : threads) thread.join();
    return out;
  }

 private:
  void rank_body(Communicator& world, int rank, std::size_t t, Result& out) const {
    const auto sharing = world.split(0, 0, "sharing");
    const auto comm = world.split(static_cast<int>(t), 0, tasks[t].name);
    Registry registry;
    register_all(registry);
    const auto device = make_cpu_device();
    TrainerConfig config;
    config.train.batch = batch[t], config.train.steps = options.plan.ticks * steps_per_tick[t],
    config.train.seed = static_cast<std::int64_t>(seeds[t]);
    config.train.evaluate_every = 2 * steps_per_tick[t], config.train.metrics = {"auc"};
    config.train.early_stop = early_stop, config.stops_early = false;
    config.parallel.virtual_workers = virtual_workers, config.parallel.exchange = exchange;
    const auto optimizer = make_optimizer({.lr = 0.01}, registry);
    const auto loss = make_loss(config.train, {}, registry);
    SilentLog log;
    CollabOptions mine = options;
    mine.plan.steps_per_tick = steps_per_tick[t];
    CollabTask task({.sharing = *sharing,
                     .task = *comm,
                     .tasks = tasks,
                     .number = static_cast<int>(t),
                     .rows = rows[t],
                     .own = build_layers(layers, {kFeatures}, registry),
                     .another = [&] { return build_layers(layers, {kFeatures}, registry); },
                     .loss = *loss,
                     .device = *device,
                     .dtype = DType::f32,
                     .virtual_workers = virtual_workers,
                     .options = mine});
    TrainerParts parts{*comm, *device, task.model(), *loss, *optimizer, registry, log, task.train(), task.validation(), task.test()};
    parts.aims = task.aims(), parts.hook = &task.hook();
    if (!inject.empty()) comm->watch().inject(std::make_unique<Faults>(std::vector{inject}, rank, [&] { return world.is_aborted(); }));
    Trainer trainer(parts, config);
    Heard heard(out.evaluations[t]);
    trainer.add(heard);
    const std::uint64_t before = task.bytes_sent();
    const Summary summary = trainer.run();
    out.bytes[static_cast<std::size_t>(rank)] = task.bytes_sent() - before;
    if (comm->rank() != 0) return;
    out.summaries[t] = summary;
    for (const FlatParams::Entry& e : trainer.params().entries()) {
      const float* first = trainer.params().values().as<float>() + e.first;
      out.values[t][e.name] = {first, first + e.count};
    }
  }
};

Lockstep lockstep(const std::string& strategy, std::vector<std::int64_t> ranks) {
  Lockstep out;
  for (std::size_t t = 0; t < ranks.size(); ++t) {
    out.tasks.push_back({.name = "task" + std::to_string(t), .kinds = {"person"}, .ranks = ranks[t]});
    out.rows.push_back(rows_of(person_table(t, strategy == "stitch" ? 300 : 300 + 40 * static_cast<std::int64_t>(t))));
  }
  out.options.strategies = {strategy};
  out.options.plan = {.ticks = 6, .save_ticks = 0};
  return out;
}

}  // namespace

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

namespace {
/// Of a rank in some ticks: a head and, of a task's first rank, 8 words and 6 units of so many entities.
std::uint64_t affinity_bytes(std::uint64_t ticks, bool is_first, std::uint64_t entities) {
  return ticks * (16 + (is_first ? 4 * (8 + 6 * entities) : 0));
}
}  // namespace

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

TEST_CASE("stitched tasks have equal bits on one, two and three ranks a task") {
  const auto run = [](std::int64_t ranks, const std::string& exchange, std::int64_t nodes = 1) {
    Lockstep one = lockstep("stitch", {ranks, ranks, ranks});
    one.seeds = {5, 5, 5}, one.exchange = exchange, one.nodes = nodes;
    return one.run();
  };
  const Lockstep::Result first = run(1, "auto");
  REQUIRE(first.error().empty());
  for (std::size_t t = 0; t < 3; ++t) {
    CHECK(first.values[t].at("stitch.own")[0] != 0.9f);  // it has learnt
    CHECK(first.values[t].at("stitch.others").size() == 2);
    CHECK(first.summaries[t].metrics.at("validation").at("auc") > 0.75);
  }
  for (const Lockstep::Result& other : {run(2, "shared"), run(3, "replicated"), run(2, "sharded", 2)}) {
    REQUIRE(other.error().empty());
    for (std::size_t t = 0; t < 3; ++t) {
      CHECK(other.summaries[t].parameters_hash == first.summaries[t].parameters_hash);
      CHECK(other.summaries[t].metrics == first.summaries[t].metrics);
    }
  }
}

TEST_CASE("stitched tasks keep their best weights of one step, the best of all together, and are scored with them") {
  Lockstep run = lockstep("stitch", {1, 1, 1});
  run.seeds = {5, 5, 5}, run.early_stop = {"validation.auc", "2"}, run.options.stitch.channels = true;
  run.options.plan.ticks = 40;
  const Lockstep::Result one = run.run();
  REQUIRE(one.error().empty());
  std::vector<double> mean(one.evaluations[0].size());
  for (const std::vector<double>& task : one.evaluations)
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += task[i] / 3;
  const auto best = static_cast<std::size_t>(std::max_element(mean.begin(), mean.end() - 1) - mean.begin());
  CHECK(best + 2 < mean.size());  // it got worse after it
  bool differs = false;           // of what a task would have chosen for itself
  for (const std::vector<double>& task : one.evaluations) {
    CHECK(task.back() == task[best]);
    differs = differs || *std::max_element(task.begin(), task.end() - 1) > task[best];
  }
  CHECK(differs);
  for (TaskInfo& task : run.tasks) task.ranks = 2;
  const Lockstep::Result two = run.run();
  REQUIRE(two.error().empty());
  for (std::size_t t = 0; t < 3; ++t) CHECK(two.summaries[t].best_parameters_hash == one.summaries[t].best_parameters_hash);
}

TEST_CASE("bytes of a stitch follow its formula") {
  Lockstep run = lockstep("stitch", {2, 2, 2});
  run.seeds = {5, 5, 5}, run.rows.clear();
  for (std::size_t t = 0; t < 3; ++t) {  // no rows that are scored, and whole epochs of 8 batches
    const std::shared_ptr<PersonTable> table = person_table(t, 256);
    std::vector<std::int64_t> all(256);
    std::iota(all.begin(), all.end(), std::int64_t{0});
    const auto set = std::make_shared<MatrixDataset>(matrix_of(table), all);
    run.rows.push_back({.train = set, .validation = nullptr, .test = nullptr, .all = set, .entities = {table->ids}});
  }
  // Beside the affinity matrix a rank has half of 32 rows of 6 values, forward and backward, and beside them a row of alpha for each of its
  // three workers.
  for (const bool channels : {false, true}) {
    run.options.stitch.channels = channels, run.options.plan.ticks = 6;
    const Lockstep::Result six = run.run();
    REQUIRE(six.error().empty());
    run.options.plan.ticks = 12;
    const Lockstep::Result twelve = run.run();
    const std::int64_t alphas = 3 * 3 * (channels ? 6 : 1);
    for (std::size_t r = 0; r < 6; ++r)
      CHECK(twelve.bytes[r] - six.bytes[r] == 6 * 5 * 4 * (2 * 16 * 6 + alphas) + affinity_bytes(6, r % 2 == 0, 32));
  }
}

TEST_CASE("tasks that a stitch cannot join are told what would fit") {
  CHECK_THAT(lockstep("stitch", {2, 1}).run().error(), Catch::Contains("task0 has 2, task1 has 1") && Catch::Contains("for instance 1"));
  Lockstep other = lockstep("stitch", {1, 1});
  other.rows[1] = rows_of(person_table(1, 300, 1));
  CHECK_THAT(other.run().error(), Catch::Contains("tasks task0 and task1 are about different entities in training row 1"));
  other.rows[1] = rows_of(person_table(1, 310));
  CHECK_THAT(other.run().error(), Catch::Contains("task0 has 240 training rows, task1 has 248"));
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
