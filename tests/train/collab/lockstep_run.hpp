// Tasks in lock-step on ranks that are threads.
#pragma once
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

namespace chorale {

constexpr std::int64_t kFeatures = 4;

/// Rows of persons; the target of task t is another function of the same features.
struct PersonTable {
  std::vector<float> x, target;
  std::vector<EntityId> ids;
};

inline std::shared_ptr<PersonTable> person_table(std::uint64_t task, std::int64_t rows, std::int64_t first = 0) {
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

inline FeatureMatrix matrix_of(const std::shared_ptr<PersonTable>& table) {
  return {.rows = static_cast<std::int64_t>(table->target.size()),
          .features = kFeatures,
          .x = table->x.data(),
          .target = table->target.data(),
          .owner = table};
}

/// The first 4 of 5 rows train, the others validate; `order`: the training rows, by the number in the table.
inline TaskRows rows_of(const std::shared_ptr<PersonTable>& table) {
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

inline Lockstep lockstep(const std::string& strategy, std::vector<std::int64_t> ranks) {
  Lockstep out;
  for (std::size_t t = 0; t < ranks.size(); ++t) {
    out.tasks.push_back({.name = "task" + std::to_string(t), .kinds = {"person"}, .ranks = ranks[t]});
    out.rows.push_back(rows_of(person_table(t, strategy == "stitch" ? 300 : 300 + 40 * static_cast<std::int64_t>(t))));
  }
  out.options.strategies = {strategy};
  out.options.plan = {.ticks = 6, .save_ticks = 0};
  return out;
}

/// Of a rank in some ticks: a head and, of a task's first rank, 8 words and 6 units of so many entities.
inline std::uint64_t affinity_bytes(std::uint64_t ticks, bool is_first, std::uint64_t entities) {
  return ticks * (16 + (is_first ? 4 * (8 + 6 * entities) : 0));
}

}  // namespace chorale
