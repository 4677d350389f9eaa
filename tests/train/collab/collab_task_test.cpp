// Two or three tasks that train on disjoint ranks and share: what they learn from each other, and that it depends on no layout.
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
#include <chorale/train/trainer.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kPeople = 1200, kFeatures = 4;

/// A table of people: x is a noisy view of their trait, the target follows from the sum of both traits. view 0 sees the first trait,
/// view 1 the second, which decides the peer's target.
struct PeopleTable {
  std::vector<float> x, target;
  std::vector<EntityId> ids, segments;
};

std::shared_ptr<PeopleTable> people_table(int view, std::int64_t first = 0) {
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

TaskRows rows_of(const std::shared_ptr<PeopleTable>& table) {
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
    if (task && world.rank() == 0) result.affinity = task->affinity();
    if (task) result.guard[tasks[t].name] = task->hook().guard_events();
  }
};

void check_no_errors(const Collab::Result& result) {
  for (const std::string& error : result.errors) CHECK(error == "");
}

double test_auc(const Collab::Result& result, const std::string& task) { return result.tasks.at(task).metrics.at("test").at("auc"); }

}  // namespace

TEST_CASE("a task learns of its peer what its own table does not show, and nothing from strangers") {
  Collab collab;
  const auto together = collab.run();
  check_no_errors(together);
  CHECK(together.ticks == 20);
  collab.alone = true;
  const auto alone = collab.run();
  collab.alone = false;
  collab.options.control = Control::shuffled, collab.options.control_seed = 11;
  const auto shuffled = collab.run();
  check_no_errors(shuffled);
  collab.options.control = Control::matched;
  const auto matched = collab.run();
  check_no_errors(matched);
  CHECK(test_auc(matched, "buys") < test_auc(alone, "buys") + 0.02);
  collab.options.control = Control::untrained;
  const auto untrained = collab.run();
  check_no_errors(untrained);
  CHECK(test_auc(untrained, "buys") > test_auc(alone, "buys") + 0.05);  // even a random projection of what the peer sees tells much
  CHECK(untrained.tasks.at("buys").parameters_hash != together.tasks.at("buys").parameters_hash);
  CAPTURE(test_auc(alone, "buys"), test_auc(together, "buys"), test_auc(shuffled, "buys"), test_auc(alone, "stays"),
          test_auc(together, "stays"));
  CHECK(test_auc(together, "buys") > test_auc(alone, "buys") + 0.1);
  CHECK(test_auc(shuffled, "buys") < test_auc(alone, "buys") + 0.02);
  CHECK(test_auc(together, "stays") > test_auc(alone, "stays") - 0.02);
}

TEST_CASE("the guard closes a peer whose vectors are another's within three validations, and no peer that helps") {
  Collab collab;
  collab.options.plan.ticks = 40;
  CHECK(collab.run().guard.at("buys").empty());
  collab.options.control = Control::shuffled, collab.options.control_seed = 11;
  const auto guarded = collab.run();
  check_no_errors(guarded);
  REQUIRE_FALSE(guarded.guard.at("buys").empty());
  CHECK_FALSE(guarded.guard.at("buys")[0].opens);
  CHECK(guarded.guard.at("buys")[0].validation <= 3);
  collab.options.guard = false;
  CHECK(collab.run().guard.at("buys").empty());
}

TEST_CASE("bits do not depend on the number of a task's ranks, on where they are, or on the exchange") {
  Collab collab;
  collab.options.plan.ticks = 8, collab.options.plan.burn_in_ticks = 2;
  const auto reference = collab.run();
  check_no_errors(reference);
  const auto same = [&](const Collab& other) {
    const auto result = other.run();
    check_no_errors(result);
    for (const auto& [name, summary] : reference.tasks) {
      CHECK(result.tasks.at(name).parameters_hash == summary.parameters_hash);
      CHECK(result.tasks.at(name).best_parameters_hash == summary.best_parameters_hash);
      CHECK(result.tasks.at(name).metrics == summary.metrics);
    }
  };
  Collab more = collab;
  more.tasks[0].ranks = 2;
  same(more);
  more.tasks[1].ranks = 3;
  same(more);
  more.exchange = "shared";
  same(more);
  more.order = {1, 0, 1, 0, 1};
  same(more);
}

TEST_CASE("a task that only publishes and one that only listens") {
  Collab collab;
  collab.tasks[0].role = TaskRole::target, collab.tasks[1].role = TaskRole::peer;
  const auto result = collab.run();
  check_no_errors(result);
  CHECK(test_auc(result, "buys") > 0.9);
  collab.tasks[1].role = TaskRole::target;
  for (const std::string& error : collab.run().errors) CHECK_THAT(error, Catch::Contains("no kind of entity in common"));
}

TEST_CASE("tasks without a common entity are refused on every rank") {
  Collab collab;
  collab.first_person = {0, 100000};
  for (const std::string& error : collab.run().errors) CHECK_THAT(error, Catch::Contains("tasks buys and stays have no person in common"));
}

TEST_CASE("ranks that do not add up are refused with what would fit") {
  const std::vector<TaskInfo> tasks = {{"a", TaskRole::both, {}, 2}, {"b", TaskRole::both, {}, 1}};
  CHECK(lay_out(tasks, 3) == std::vector<int>{0, 0, 1});
  CHECK_THROWS_WITH(lay_out(tasks, 4), Catch::Contains("the tasks have 3 ranks (a 2, b 1), the run has 4; start it with -n 3"));
}

namespace {

Collab short_run(std::vector<std::string> strategies) {
  Collab collab;
  collab.options.plan.ticks = 8, collab.options.plan.burn_in_ticks = 2;
  collab.options.strategies = std::move(strategies);
  collab.virtual_workers = 3;
  return collab;
}

}  // namespace

TEST_CASE("bits depend on no layout with any strategy, nor with several, and each of them does something") {
  const auto plain = short_run({"store"}).run();
  check_no_errors(plain);
  for (const auto& strategies :
       std::vector<std::vector<std::string>>{{"distill"}, {"codistill"}, {"proto"}, {"align"}, {"store", "distill", "proto", "align"}}) {
    CAPTURE(strategies);
    Collab collab = short_run(strategies);
    collab.options.distill.by_checkpoint = strategies[0] == "codistill";
    if (strategies[0] == "codistill") collab.options.strategies = {"distill"};
    const auto reference = collab.run();
    check_no_errors(reference);
    CHECK(reference.tasks.at("buys").parameters_hash != plain.tasks.at("buys").parameters_hash);
    if (strategies.size() == 1) {  // weight 0: as if alone
      Collab off = collab;
      off.options.distill.weight = off.options.proto.weight = off.options.align.weight = 0;
      const auto without = off.run();
      check_no_errors(without);
      CHECK(without.tasks.at("buys").parameters_hash != reference.tasks.at("buys").parameters_hash);
    }
    collab.tasks[0].ranks = 2, collab.tasks[1].ranks = 3;
    collab.order = {1, 0, 1, 0, 1}, collab.exchange = "shared";
    const auto spread = collab.run();
    check_no_errors(spread);
    for (const auto& [name, summary] : reference.tasks) {
      CHECK(spread.tasks.at(name).parameters_hash == summary.parameters_hash);
      CHECK(spread.tasks.at(name).best_parameters_hash == summary.best_parameters_hash);
      CHECK(spread.tasks.at(name).metrics == summary.metrics);
    }
    CHECK(spread.affinity == reference.affinity);
  }
}

TEST_CASE("of every strategy matched hears nothing of the peer, untrained nothing of its labels, and shuffled something else") {
  for (const std::string strategy : {"store", "distill", "codistill", "proto", "align"}) {
    CAPTURE(strategy);
    Collab collab = short_run({strategy == "codistill" ? "distill" : strategy});
    collab.options.distill.by_checkpoint = strategy == "codistill";
    collab.options.control_seed = 11, collab.virtual_workers = 1;
    const auto bits = [](const Collab& run) {
      const auto result = run.run();
      check_no_errors(result);
      return result.tasks.at("buys").parameters_hash;
    };
    const std::string together = bits(collab);
    Collab other_view = collab, other_labels = collab;
    other_view.views[1] = 0, other_labels.has_other_labels = true;
    CHECK(bits(other_view) != together);
    CHECK(bits(other_labels) != together);
    for (Collab* each : {&collab, &other_view, &other_labels}) each->options.control = Control::matched;
    const std::string matched = bits(collab);
    CHECK(matched != together);
    CHECK(bits(other_view) == matched);
    CHECK(bits(other_labels) == matched);
    for (Collab* each : {&collab, &other_view, &other_labels}) each->options.control = Control::untrained;
    const std::string untrained = bits(collab);
    CHECK(untrained != together);
    CHECK((bits(other_view) != untrained) == (strategy != "codistill"));  // weights as drawn know no table
    CHECK(bits(other_labels) == untrained);
    collab.options.control = Control::shuffled;
    CHECK(bits(collab) != together);
  }
}

TEST_CASE("a task that ends early leaves nobody waiting, and its own weights stay as they were") {
  Collab collab = short_run({"store", "align", "distill"});
  collab.options.plan.ticks = 14, collab.buys_ends = 6;
  collab.virtual_workers = 4;
  std::map<AtEnd, Collab::Result> results;
  for (const AtEnd at_end : {AtEnd::cycle, AtEnd::serve, AtEnd::mask}) {
    CAPTURE(static_cast<int>(at_end));
    collab.at_end = at_end;
    collab.tasks[0].ranks = collab.tasks[1].ranks = 1;
    results[at_end] = collab.run();
    const auto& result = results[at_end];
    check_no_errors(result);
    CHECK(result.ticks == 14);
    CHECK(result.tasks.at("buys").steps == (at_end == AtEnd::serve ? 6 : 14) * 8);
    CHECK(result.tasks.at("stays").steps == 14 * 8);
    REQUIRE(result.news.size() == 13);
    CHECK(result.news[4].tasks[0].stage == TaskStage::joint);
    CHECK(result.news[12].tasks[0].stage == (at_end == AtEnd::cycle ? TaskStage::joint : TaskStage::ended));
    collab.tasks[0].ranks = 2, collab.tasks[1].ranks = 3;
    const auto spread = collab.run();
    check_no_errors(spread);
    for (const auto& [name, summary] : result.tasks) {
      CHECK(spread.tasks.at(name).parameters_hash == summary.parameters_hash);
      CHECK(spread.tasks.at(name).metrics == summary.metrics);
    }
  }
  const auto hash = [&](AtEnd at_end, const std::string& task) { return results[at_end].tasks.at(task).parameters_hash; };
  CHECK(hash(AtEnd::serve, "buys") == hash(AtEnd::mask, "buys"));
  CHECK(hash(AtEnd::serve, "buys") != hash(AtEnd::cycle, "buys"));
  CHECK(hash(AtEnd::serve, "stays") != hash(AtEnd::cycle, "stays"));
}

TEST_CASE("a task that stops early serves from its best weights until the others are done") {
  Collab collab;
  collab.options.plan.ticks = 60, collab.options.plan.burn_in_ticks = 4, collab.at_end = AtEnd::serve, collab.stops_early = true;
  const auto result = collab.run();
  check_no_errors(result);
  CHECK(result.ticks == 60);
  const Summary& buys = result.tasks.at("buys");
  CHECK(buys.status == "early_stopped");
  CHECK(buys.steps < 60 * 8);
  CHECK(buys.best_parameters_hash != buys.parameters_hash);
  CHECK(result.tasks.at("stays").steps == 60 * 8);
  CHECK(test_auc(result, "buys") > 0.9);
  collab.options.plan.ticks = 90;  // what others do afterwards changes nothing of it
  const auto longer = collab.run();
  check_no_errors(longer);
  CHECK(longer.tasks.at("buys").metrics == buys.metrics);
}

TEST_CASE("a sharded store changes no bit of any task, with 1, 2, 3 and 5 ranks a task") {
  Collab collab = short_run({"store", "align"});
  collab.virtual_workers = 5;
  const auto reference = collab.run();
  check_no_errors(reference);
  collab.options.store = "sharded";
  for (const auto& [buys, stays] : std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1}, {2, 1}, {3, 2}, {5, 5}}) {
    CAPTURE(buys, stays);
    collab.tasks[0].ranks = buys, collab.tasks[1].ranks = stays;
    const auto sharded = collab.run();
    check_no_errors(sharded);
    for (const auto& [name, summary] : reference.tasks) {
      CHECK(sharded.tasks.at(name).parameters_hash == summary.parameters_hash);
      CHECK(sharded.tasks.at(name).metrics == summary.metrics);
    }
  }
}

TEST_CASE("vectors in fewer bytes, cut and with noise: bits depend on no layout, and what is sent is less") {
  Collab collab = short_run({"store"});
  const auto plain = collab.run();
  const auto bytes_of_ten_ticks = [&](RowWire wire) {
    collab.options.wire = wire;
    collab.options.plan.ticks = 8;
    const auto less = collab.run();
    collab.options.plan.ticks = 18;
    const auto more = collab.run();
    check_no_errors(more);
    collab.options.plan.ticks = 8;
    return static_cast<std::int64_t>(more.bytes[0] - less.bytes[0]);
  };
  const std::int64_t f32 = bytes_of_ten_ticks(RowWire::f32), bf16 = bytes_of_ten_ticks(RowWire::bf16);
  const std::int64_t heads = 10 * (16 + 16 + 4 * (8 + 32 * 8)), entries = (f32 - heads) / 28;  // 12 + 4 * 4 bytes each
  CHECK(f32 == heads + 28 * entries);
  CHECK(bf16 == heads + 20 * entries);
  CHECK(bytes_of_ten_ticks(RowWire::int8) == heads + 20 * entries);  // 4 of the scale and 4
  collab.options.clip = 0.5, collab.options.noise = 0.3, collab.options.noise_seed = 3;
  const auto reference = collab.run();
  check_no_errors(reference);
  CHECK(reference.tasks.at("buys").parameters_hash != plain.tasks.at("buys").parameters_hash);
  collab.tasks[0].ranks = 2, collab.tasks[1].ranks = 3, collab.options.store = "sharded";
  const auto spread = collab.run();
  check_no_errors(spread);
  for (const auto& [name, summary] : reference.tasks) CHECK(spread.tasks.at(name).parameters_hash == summary.parameters_hash);
}

TEST_CASE("tasks of one label distil, and what they send is what the formula says") {
  Collab collab = short_run({"distill"});
  collab.options.plan.ticks = 20, collab.options.plan.burn_in_ticks = 4;
  collab.views = {1, 1};
  const auto together = collab.run();
  check_no_errors(together);
  CHECK(test_auc(together, "buys") > 0.95);
  // By the formula: heads of 16 bytes a rank and tick, and 4 bytes a prediction. Ids are told once, at the start.
  REQUIRE(together.bytes.size() == 2);
  Collab longer = collab;
  longer.options.plan.ticks = 30;
  const auto more = longer.run();
  const std::int64_t affinity = 16 + 4 * (8 + 32 * 8), distill = 16 + 4 * 256;
  CHECK((more.bytes[0] - together.bytes[0]) == static_cast<std::uint64_t>(10 * (affinity + distill)));
}

TEST_CASE("tasks of one architecture distil by their weights, which are what they send") {
  Collab collab = short_run({"distill"});
  collab.options.distill.by_checkpoint = true;
  collab.options.plan.ticks = 20, collab.options.plan.burn_in_ticks = 4;
  collab.views = {1, 1};
  const auto together = collab.run();
  check_no_errors(together);
  CHECK(test_auc(together, "buys") > 0.95);
  Collab longer = collab;
  longer.options.plan.ticks = 30;
  const auto more = longer.run();
  const std::int64_t affinity = 16 + 4 * (8 + 32 * 8), weights = 16 + 4 * (8 * kFeatures + 8 + 8 + 1);
  CHECK((more.bytes[0] - together.bytes[0]) == static_cast<std::uint64_t>(10 * (affinity + weights)));
  collab.other_layers = "linear(6) relu linear(1)";
  for (const std::string& error : collab.run().errors)
    CHECK_THAT(error, Catch::Contains("buys has 0.weight [8, 4]") && Catch::Contains("stays has 0.weight [6, 4]"));
}

TEST_CASE("tasks without one label space cannot distil, and are told which do not fit") {
  Collab collab = short_run({"distill"});
  collab.losses[1] = "mse";
  for (const std::string& error : collab.run().errors)
    CHECK_THAT(error, Catch::Contains("buys (yes or no) and stays (a number) do not fit"));
  collab.losses[1] = "binary_cross_entropy", collab.options.strategies = {"gossip"};
  for (const std::string& error : collab.run().errors) CHECK_THAT(error, Catch::Contains("collab.strategy 'gossip' is unknown"));
}

TEST_CASE("each tick says where tasks are and how alike they see what they have in common") {
  Collab collab = short_run({"store"});
  const auto result = collab.run();
  check_no_errors(result);
  REQUIRE(result.news.size() == 7);  // what is posted at a tick is known at the next
  CHECK(result.news[0].tick == 1);
  CHECK(result.news[0].tasks[0].steps == 8);
  CHECK(result.news[0].tasks[0].stage == TaskStage::burn_in);
  CHECK(result.news[0].tasks[0].open_peers == 0);
  CHECK(result.news[6].tasks[1].stage == TaskStage::joint);
  CHECK(result.news[6].tasks[1].open_peers == 1);
  CHECK(result.news[6].tasks[1].bytes > result.news[5].tasks[1].bytes);
  REQUIRE(result.affinity.size() == 4);
  CHECK(result.affinity[1] == result.affinity[2]);
  CHECK(result.affinity[0] == 1);
  collab.views = {1, 1};
  CHECK(collab.run().affinity[1] > result.affinity[1] + 0.2);  // one view against two
}
