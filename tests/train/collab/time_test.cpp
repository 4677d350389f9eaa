// Time in the store's key: a row hears of its entity what earlier periods say, and nothing that comes after reaches it.
#include <catch2/catch.hpp>

#include <cstring>
#include <limits>
#include <set>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/train/collab/replicated_store.hpp>
#include <chorale/train/collab/collab_task.hpp>
#include <chorale/train/collab/published_keys.hpp>
#include <chorale/train/data/row_times.hpp>
#include <chorale/train/trainer.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kPeople = 60, kFeatures = 3;
constexpr std::int32_t kPeriods = 10, kValidation = 6, kTest = 8;  // first periods of those parts

/// One row a person and period, not of everybody in each; what a peer sees moves with time.
struct Visits {
  std::vector<float> x, target;
  std::vector<EntityId> ids;
  std::vector<std::int32_t> periods;
};

struct Change {
  std::int32_t from = kPeriods;  // rows of this period and later have other features and labels
  bool labels_of_test = false;   // rows of the test part have other labels, and nothing else differs
  bool by_time = true;           // how the parts are cut
};

/// 0 train, 1 validation, 2 test.
int part_of(EntityId id, std::int32_t period, bool by_time) {
  if (by_time) return period < kValidation ? 0 : period < kTest ? 1 : 2;
  return id % 4 == 0 ? 2 : id % 4 == 1 ? 1 : 0;
}

Visits visits_of(int task, const Change& change) {
  Visits out;
  for (std::int32_t period = 0; period < kPeriods; ++period)
    for (std::int64_t p = 0; p < kPeople; ++p) {
      RandomStream random(mix(static_cast<std::uint64_t>(100 * period + task), static_cast<std::uint64_t>(p)));
      if (random.uniform() < 0.4) continue;
      const bool is_other = period >= change.from;
      double sum = 0;
      for (std::int64_t f = 0; f < kFeatures; ++f) {
        const double value = random.normal() + (is_other ? 5 : 0);
        out.x.push_back(static_cast<float>(value)), sum += value;
      }
      const EntityId id = entity_id("person", std::to_string(p));
      const bool flips = is_other || (change.labels_of_test && part_of(id, period, change.by_time) == 2);
      out.target.push_back((sum > 0) != flips ? 1.0f : 0.0f);
      out.ids.push_back(id);
      out.periods.push_back(period);
    }
  return out;
}

TaskRows rows_of(const std::shared_ptr<Visits>& table, bool split_by_time) {
  const auto rows = static_cast<std::int64_t>(table->ids.size());
  const FeatureMatrix matrix{.rows = rows, .features = kFeatures, .x = table->x.data(), .target = table->target.data(), .owner = table};
  std::vector<std::int64_t> parts[4];
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto at = static_cast<std::size_t>(r);
    parts[part_of(table->ids[at], table->periods[at], split_by_time)].push_back(r);
    parts[3].push_back(r);
  }
  const auto set = [&](int part) { return std::make_shared<MatrixDataset>(matrix, parts[part]); };
  return {.train = set(0),
          .validation = set(1),
          .test = set(2),
          .all = set(3),
          .entities = {table->ids},
          .periods = table->periods,
          .scale_before = split_by_time ? kValidation : std::numeric_limits<std::int32_t>::max()};
}

/// What one task fetched, by row of its table, and the rows' periods.
struct Heard {
  std::vector<float> normalised, raw;  // [rows, width]
  std::vector<std::int32_t> periods;
  std::string weights;  // hash of the last parameters
  std::int64_t trained_by_peers = -1;
};

constexpr std::int64_t kWidth = 2;

/// Two tasks; `change` is what both tables differ in.
std::array<Heard, 2> run(const Change& change, Control control = Control::none) {
  const std::vector<TaskInfo> tasks = {{"buys", TaskRole::both, {"person"}, 1}, {"returns", TaskRole::both, {"person"}, 1}};
  auto world = make_thread_communicators(2);
  std::array<Heard, 2> out;
  std::array<std::string, 2> errors;
  const auto rank_body = [&](Communicator& comm, std::size_t t) {
    const auto sharing = comm.split(0, 0, "sharing");
    const auto own_comm = comm.split(static_cast<int>(t), 0, tasks[t].name);
    Registry registry;
    register_all(registry);
    const auto device = make_cpu_device();
    const auto table = std::make_shared<Visits>(visits_of(static_cast<int>(t), change));
    const TaskRows rows = rows_of(table, change.by_time);
    TrainerConfig config;
    config.train.batch = 20, config.train.steps = 36, config.train.evaluate_every = 6, config.stops_early = false;
    config.train.early_stop = {"validation.loss", "2"};
    const auto loss = make_loss(config.train, {}, registry);
    const auto optimizer = make_optimizer({}, registry);
    const auto layers = [&] { return build_layers("linear(4) relu linear(1)", {kFeatures}, registry); };
    CollabOptions options{.width = kWidth, .plan = {.steps_per_tick = 3, .ticks = 12, .burn_in_ticks = 2, .sweep_ticks = 3}};
    options.control = control;
    CollabTask task({.sharing = *sharing,
                     .task = *own_comm,
                     .tasks = tasks,
                     .number = static_cast<int>(t),
                     .rows = rows,
                     .own = layers(),
                     .another = layers,
                     .loss = *loss,
                     .device = *device,
                     .dtype = DType::f32,
                     .virtual_workers = 1,
                     .options = options});
    SilentLog log;
    TrainerParts parts{*own_comm, *device, task.model(), *loss, *optimizer, registry, log, task.train(), task.validation(), task.test()};
    parts.aims = task.aims(), parts.hook = &task.hook();
    Trainer trainer(parts, config);
    Heard& heard = out[t];
    heard.weights = trainer.run().parameters_hash;
    heard.periods = table->periods, heard.trained_by_peers = task.test_entities_peers_trained_on();
    const FetchSource& source = task.fetched()->sources()[0];
    for (const std::int32_t key : source.of_row) {
      std::array<float, kWidth> row{}, raw{};
      const std::int32_t position = source.positions[static_cast<std::size_t>(key)];
      task.store()->fetch(source.publisher, position, row.data());
      task.store()->read(source.publisher, position, raw.data());
      heard.normalised.insert(heard.normalised.end(), row.begin(), row.end());
      heard.raw.insert(heard.raw.end(), raw.begin(), raw.end());
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      try {
        rank_body(*world[t], t);
      } catch (const std::exception& e) {
        errors[t] = e.what();
        world[t]->abort(e.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) CHECK(error == "");
  return out;
}

/// Bytes of rows up to a period, that included.
std::vector<float> up_to(const std::vector<float>& vectors, const std::vector<std::int32_t>& periods, std::int32_t last) {
  std::vector<float> out;
  for (std::size_t r = 0; r < periods.size(); ++r)
    if (periods[r] <= last)
      out.insert(out.end(), vectors.begin() + static_cast<std::ptrdiff_t>(r) * kWidth,
                 vectors.begin() + static_cast<std::ptrdiff_t>(r + 1) * kWidth);
  return out;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && !a.empty() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("nothing after a row's time reaches it: later rows may change, what was fetched for it has the same bits") {
  const auto before = run({});
  for (const std::int32_t from : {kTest, kTest + 1}) {
    CAPTURE(from);
    const auto after = run({.from = from});
    for (std::size_t t = 0; t < 2; ++t) {
      CHECK(after[t].weights == before[t].weights);
      CHECK(same(up_to(after[t].normalised, after[t].periods, from), up_to(before[t].normalised, before[t].periods, from)));
      if (from < kPeriods - 1) CHECK_FALSE(same(after[t].normalised, before[t].normalised));  // later rows do hear of it
    }
  }
  // The peer has learnt of what training rows show, and rows of the test part hear that.
  const auto other = run({.from = kValidation - 1});
  CHECK_FALSE(same(up_to(other[0].normalised, other[0].periods, kTest), up_to(before[0].normalised, before[0].periods, kTest)));
}

TEST_CASE("given its weights a vector is of earlier rows alone, in the training part too") {
  const auto before = run({}, Control::untrained);
  for (const std::int32_t from : {1, 3, kValidation}) {
    const auto after = run({.from = from}, Control::untrained);
    for (std::size_t t = 0; t < 2; ++t) {
      CHECK(same(up_to(after[t].raw, after[t].periods, from), up_to(before[t].raw, before[t].periods, from)));
      CHECK_FALSE(same(after[t].raw, before[t].raw));
    }
  }
}

TEST_CASE("labels of test rows reach no peer, whether parts go by entity or by time") {
  for (const bool by_time : {true, false}) {
    CAPTURE(by_time);
    const auto before = run({.by_time = by_time}), after = run({.labels_of_test = true, .by_time = by_time});
    for (std::size_t t = 0; t < 2; ++t) {
      CHECK(after[t].weights == before[t].weights);
      CHECK(same(after[t].normalised, before[t].normalised));
      std::set<EntityId> tested, trained;
      const Visits own = visits_of(static_cast<int>(t), {}), peer = visits_of(static_cast<int>(1 - t), {});
      for (std::size_t r = 0; r < own.ids.size(); ++r)
        if (part_of(own.ids[r], own.periods[r], by_time) == 2) tested.insert(own.ids[r]);
      for (std::size_t r = 0; r < peer.ids.size(); ++r)
        if (part_of(peer.ids[r], peer.periods[r], by_time) == 0 && tested.contains(peer.ids[r])) trained.insert(peer.ids[r]);
      CHECK(before[t].trained_by_peers == static_cast<std::int64_t>(trained.size()));
      CHECK((by_time ? trained.size() > 40 : trained.empty()));
    }
  }
}

TEST_CASE("a key is fetched from the newest period before the row's, and from an older one while that has no row yet") {
  const EntityId a = 5, b = 9;
  const std::vector<EntityId> ids = {a, a, a, b};
  const std::vector<std::int32_t> periods = {1, 3, 4, 2};
  const std::vector<EntityId> wanted = {a, a, a, a, a, b, b, 7};
  const std::vector<std::int32_t> at = {1, 2, 3, 4, 9, 2, 3, 5};
  CHECK(positions_before({wanted, at}, {ids, periods}) == std::vector<std::int32_t>{-1, 0, 0, 1, 2, -1, 3, -1});
  CHECK(positions_of({wanted, at}, {ids, periods}) == std::vector<std::int32_t>{0, -1, 1, 2, -1, 3, -1, -1});
  const EntityIndex index = index_entities({b, a, kNoEntity, a, a, a}, std::vector<std::int32_t>{2, 4, 1, 1, 3, 3});
  CHECK(index.ids == ids);
  CHECK(index.periods == periods);
  CHECK(index.of_row == std::vector<std::int32_t>{3, 2, -1, 0, 1, 1});
  CHECK(index.first_of(2) == 0);

  auto world = make_thread_communicators(1);
  ReplicatedStore store(*world[0], {{.task = "t", .ids = ids, .periods = periods, .scale_before = 4}}, {.width = 1});
  const auto post = [&](std::int32_t key, float value) {
    EntitySums sums(1);
    sums.add(key, 0, &value);
    store.post(0, sums);
    store.complete();
  };
  float out = 9;
  CHECK_FALSE(store.fetch(0, 2, &out));
  CHECK(out == 0);
  post(0, 1), post(3, 3);
  CHECK(store.fetch(0, 2, &out));
  CHECK(out == -1);  // of period 1: mean 2, deviation 1
  post(2, 1000);     // period 4 does not count for the scale
  CHECK(store.scale(0).mean[0] == 2);
  CHECK(store.fetch(0, 2, &out));
  CHECK(out == 4);  // clipped
  CHECK(store.fetch(0, 1, &out));
  CHECK(out == -1);
}

TEST_CASE("shuffled keys stay within their period") {
  Publisher publisher{.task = "t", .ids = {}};
  for (EntityId id = 1; id <= 50; ++id)
    for (std::int32_t period = 0; period < 4; ++period) publisher.ids.push_back(id), publisher.periods.push_back(period);
  const std::vector<std::int32_t> order = shuffled_keys(publisher, 3);
  std::vector<std::int32_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  int moved = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    CHECK(sorted[i] == static_cast<std::int32_t>(i));
    CHECK(publisher.periods[static_cast<std::size_t>(order[i])] == publisher.periods[i]);
    moved += order[i] != static_cast<std::int32_t>(i);
  }
  CHECK(moved > 150);
}

TEST_CASE("periods and cut-offs are dates for columns of dates, numbers for columns of numbers") {
  CHECK(parse_period("week").length == 604800);
  CHECK(parse_period("12 hours").length == 43200);
  CHECK(parse_period("7").is_number);
  for (const char* text : {"", "0 days", "-1 day", "month", "3 4", "days 3"})
    CHECK_THROWS_WITH(parse_period(text), Catch::Contains("is refused"));
  CHECK_THROWS_WITH(parse_cutoff("soon", "collab.split"), Catch::Contains("neither a date such as 2011-10-01 nor a number"));

  const double day = 86400, cut = parse_cutoff("2011-10-01", "k").value;
  const TimeRequest dates{.column = "when", .period = "week", .cutoffs = {"2011-10-01", "2011-11-01"}};
  const RowTimes rows(dates, ColumnType::date, {cut - 1, cut, cut + 7 * day, cut - 7 * day, cut - 7 * day - 1, cut + 31 * day});
  CHECK(rows.periods() == std::vector<std::int32_t>{-1, 0, 1, -1, -2, 4});
  CHECK(rows.parts() == std::vector<Part>{Part::train, Part::validation, Part::validation, Part::train, Part::train, Part::test});
  CHECK(rows.first_after_training() == 0);
  const RowTimes numbers({.column = "t", .period = "10"}, ColumnType::number, {0, 9.5, 10, -1});
  CHECK(numbers.periods() == std::vector<std::int32_t>{0, 0, 1, -1});
  CHECK(numbers.first_after_training() > 1000);
  CHECK_THROWS_WITH(RowTimes(dates, ColumnType::number, {1.0}), Catch::Contains("holds numbers; write a number in its units"));
  CHECK_THROWS_WITH(RowTimes({.column = "t", .period = "7"}, ColumnType::date, {1.0}), Catch::Contains("holds dates; write 7 days"));
  CHECK_THROWS_WITH(RowTimes({.column = "t", .period = "7", .cutoffs = {"2011-10-01", "2011-11-01"}}, ColumnType::number, {1.0}),
                    Catch::Contains("cut-off 2011-10-01 and column 't' holds numbers; give a number"));
  CHECK_THROWS_WITH(RowTimes({.column = "t"}, ColumnType::category, {}), Catch::Contains("neither dates nor numbers"));
  CHECK_THROWS_WITH(RowTimes({.column = "t", .period = "7"}, ColumnType::number, {1.0, std::nan("")}),
                    Catch::Contains("row 2 has no value in 't'"));
}
