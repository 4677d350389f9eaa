// Tasks in lock-step, trained by the trainer: stitch.
#include "lockstep_run.hpp"

using namespace chorale;

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
