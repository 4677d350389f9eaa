// Tasks about the same people that train on disjoint ranks, which are threads, and share.
#pragma once
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/core/data/split.hpp>
#include <chorale/train/collab/collab_task.hpp>
#include <chorale/train/collab/replicated_store.hpp>
#include <chorale/train/trainer.hpp>

namespace chorale {

constexpr std::int64_t kPeople = 1200, kFeatures = 4;

/// A table of people: x is a noisy view of their trait, the target follows from the sum of both traits. view 0 sees the first trait,
/// view 1 the second, which decides the peer's target.
struct PeopleTable {
  std::vector<float> x, target;
  std::vector<EntityId> ids, segments;
};

inline std::shared_ptr<PeopleTable> people_table(int view, std::int64_t first = 0) {
  auto table = std::make_shared<PeopleTable>();
  for (std::int64_t p = first; p < first + kPeople; ++p) {
    RandomStream random(mix(99, static_cast<std::uint64_t>(p)));
    const double traits[] = {random.normal(), random.normal()};
    for (std::int64_t f = 0; f < kFeatures; ++f)
      table->x.push_back(static_cast<float>(traits[view] * static_cast<double>(f + 1) / 2 + 0.3 * random.normal()));
    const double score = view == 0 ? traits[0] + 2 * traits[1] : traits[1];
    table->target.push_back(score + 0.3 * random.normal() > 0 ? 1.0f : 0.0f);
    table->ids.push_back(entity_id("person", std::to_string(p)));
    table->segments.push_back(entity_id("segment", std::to_string(std::lround(4 * traits[1]) % 5)));
  }
  return table;
}

inline TaskRows rows_of(const std::shared_ptr<PeopleTable>& table) {
  const FeatureMatrix matrix{.rows = kPeople, .features = kFeatures, .x = table->x.data(), .target = table->target.data(), .owner = table};
  const std::vector<Part> parts = parts_by_key(table->ids, {0.6, 0.2, 0.2}, 3);
  std::vector<std::int64_t> rows[4];
  for (std::int64_t r = 0; r < kPeople; ++r) {
    rows[static_cast<std::size_t>(parts[static_cast<std::size_t>(r)])].push_back(r);
    rows[3].push_back(r);
  }
  const auto set = [&](int part) { return std::make_shared<MatrixDataset>(matrix, rows[part]); };
  return {.train = set(0), .validation = set(1), .test = set(2), .all = set(3), .entities = {table->ids}, .key = table->segments};
}

struct Collab {
  std::vector<TaskInfo> tasks = {{"buys", TaskRole::both, {"person"}, 1}, {"stays", TaskRole::both, {"person"}, 1}};
  std::vector<int> views = {0, 1};
  std::vector<std::int64_t> first_person = {0, 0};
  std::vector<int> order;  // by rank: its task; empty: consecutive
  CollabOptions options = {.width = 4, .plan = {.steps_per_tick = 8, .ticks = 20, .burn_in_ticks = 6, .sweep_ticks = 2}};
  std::int64_t virtual_workers = 4;
  std::string layers = "linear(8) relu linear(1)", other_layers = {};        // other: of the second task, where it has others
  std::string losses[2] = {"binary_cross_entropy", "binary_cross_entropy"};  // by task
  bool has_other_labels = false;                                             // the peer
  std::function<bool(EntityId)> has_other_label = {};                        // of the peer's people
  bool alone = false;                                                        // the own layers only, without the rest
  std::string exchange = "replicated";
  std::int64_t buys_ends = 0;  // tick of its own last step; 0: the last
  AtEnd at_end = AtEnd::cycle;
  bool stops_early = false;  // buys does, where it serves

  struct Result {
    std::map<std::string, Summary> tasks;
    std::vector<std::string> errors;
    std::int64_t ticks = 0;
    std::map<std::string, std::vector<GuardEvent>> guard;
    std::vector<std::uint64_t> bytes;  // by rank: of sharing
    std::vector<double> affinity;      // of rank 0
    std::vector<TickNews> news;
    std::map<std::string, std::map<EntityId, std::vector<float>>> published;  // raw, at the end
    std::map<std::string, std::map<EntityId, std::vector<float>>> by_model;   // what the weights of the end make of the same people
  };

  Result run() const {
    const std::vector<int> task_of = order.empty() ? lay_out(tasks, ranks()) : order;
    auto world = make_thread_communicators(static_cast<int>(task_of.size()));
    Result result;
    result.errors.resize(task_of.size()), result.bytes.resize(task_of.size());
    std::vector<std::thread> threads;
    std::mutex mutex;
    for (std::size_t r = 0; r < task_of.size(); ++r)
      threads.emplace_back([&, r] {
        try {
          rank_body(*world[r], task_of[r], result, mutex);
        } catch (const std::exception& e) {
          result.errors[r] = e.what();
          world[r]->abort(e.what());
        }
      });
    for (std::thread& thread : threads) thread.join();
    return result;
  }

 private:
  int ranks() const {
    int n = 0;
    for (const TaskInfo& task : tasks) n += static_cast<int>(task.ranks);
    return n;
  }

  void rank_body(Communicator& world, int number, Result& result, std::mutex& mutex) const {
    const auto t = static_cast<std::size_t>(number);
    const auto sharing = world.split(0, 0, "sharing");
    const auto comm = world.split(number, 0, tasks[t].name);
    Registry registry;
    register_all(registry);
    auto device = make_cpu_device();
    const auto table = people_table(views[t], first_person[t]);
    if (has_other_labels && number == 1)
      for (std::size_t p = 0; p < table->target.size(); p += 2) table->target[p] = 1 - table->target[p];
    for (std::size_t p = 0; has_other_label && number == 1 && p < table->target.size(); ++p)
      if (has_other_label(table->ids[p])) table->target[p] = 1 - table->target[p];
    const TaskRows rows = rows_of(table);
    const std::string& text = number == 1 && !other_layers.empty() ? other_layers : layers;
    auto own = build_layers(text, {kFeatures}, registry);
    TrainerConfig config;
    config.train.loss = losses[t];
    config.train.batch = 24, config.train.steps = options.plan.ticks * options.plan.steps_per_tick;
    config.train.metrics = {"auc"}, config.train.early_stop = {"validation.auc", "3"};
    config.train.evaluate_every = 2 * options.plan.steps_per_tick;
    config.train.seed = 5 + number;
    config.parallel.virtual_workers = virtual_workers, config.parallel.exchange = exchange;
    config.stops_early = stops_early && number == 0;
    if (options.plan.final_ticks > 0 && !alone)
      config.hold = {.last_step = options.plan.final_tick() * options.plan.steps_per_tick,
                     .holds = [](std::string_view name) { return !FusedModel::is_of_fusion(name); }};
    CollabOptions mine = options;
    if (number == 0) {
      mine.plan.at_end = at_end, mine.plan.last_tick = buys_ends > 0 ? buys_ends : options.plan.ticks;
      if (at_end == AtEnd::serve && buys_ends > 0) config.train.steps = buys_ends * options.plan.steps_per_tick;
      if (!stops_early && buys_ends > 0) config.train.early_stop = {};
      if (stops_early) mine.plan.patience = 3;
    }
    OptimizerOptions rule;
    rule.lr = 0.01;
    const auto optimizer = make_optimizer(rule, registry);
    const auto loss = make_loss(config.train, {}, registry);
    SilentLog log;
    std::unique_ptr<CollabTask> task;
    if (!alone)
      task = std::make_unique<CollabTask>(CollabTask::Setup{.sharing = *sharing,
                                                            .task = *comm,
                                                            .tasks = tasks,
                                                            .number = number,
                                                            .rows = rows,
                                                            .own = std::move(own),
                                                            .another = [&] { return build_layers(text, {kFeatures}, registry); },
                                                            .loss = *loss,
                                                            .device = *device,
                                                            .dtype = DType::f32,
                                                            .virtual_workers = virtual_workers,
                                                            .options = mine,
                                                            .on_news = [&](const TickNews& news) { result.news.push_back(news); }});
    TrainerParts parts{*comm,
                       *device,
                       alone ? static_cast<Module&>(*own) : task->model(),
                       *loss,
                       *optimizer,
                       registry,
                       log,
                       alone ? rows.train : task->train(),
                       alone ? rows.validation : task->validation(),
                       alone ? rows.test : task->test()};
    if (!alone) parts.aims = task->aims(), parts.hook = &task->hook();
    Trainer trainer(parts, config);
    const Summary summary = trainer.run();
    const std::lock_guard lock(mutex);
    if (comm->rank() == 0) result.tasks[tasks[t].name] = summary;
    if (task) result.ticks = task->hook().ticks();
    if (task) result.bytes[static_cast<std::size_t>(world.rank())] = task->bytes_sent();
    if (task && comm->rank() == 0 && task->model().options().exports) {
      const Tensor x = Tensor::from(*device, {kPeople, kFeatures}, table->x.data());
      const Tensor e = task->model().entity(Variable(x), {.device = *device}).value();
      for (std::int64_t p = 0; p < kPeople; ++p)
        result.by_model[tasks[t].name][table->ids[static_cast<std::size_t>(p)]].assign(e.data<float>() + p * options.width,
                                                                                       e.data<float>() + (p + 1) * options.width);
    }
    if (task && world.rank() == 0) result.affinity = task->affinity();
    if (task) result.guard[tasks[t].name] = task->hook().guard_events();
    const auto* store = task && world.rank() == 0 ? dynamic_cast<const ReplicatedStore*>(task->store()) : nullptr;
    for (std::size_t p = 0; store && p < store->tasks().size(); ++p) {
      const std::vector<EntityId>& ids = store->publisher(static_cast<int>(p)).ids;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        std::vector<float>& row = result.published[store->tasks()[p]][ids[i]];
        row.resize(static_cast<std::size_t>(options.width));
        if (!store->read(static_cast<int>(p), static_cast<std::int32_t>(i), row.data())) row.clear();
      }
    }
  }
};

inline void check_no_errors(const Collab::Result& result) {
  for (const std::string& error : result.errors) CHECK(error == "");
}

inline double test_auc(const Collab::Result& result, const std::string& task) { return result.tasks.at(task).metrics.at("test").at("auc"); }

inline Collab short_run(std::vector<std::string> strategies) {
  Collab collab;
  collab.options.plan.ticks = 8, collab.options.plan.burn_in_ticks = 2;
  collab.options.strategies = std::move(strategies);
  collab.virtual_workers = 3;
  return collab;
}

}  // namespace chorale
