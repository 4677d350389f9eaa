// The end of a run: the rows that the weights of the end make of all entities, and a fusion that has learnt to read them.
#include "people_run.hpp"

using namespace chorale;

namespace {

Collab with_end(Collab collab, std::int64_t ticks, std::int64_t final_ticks) {
  collab.options.plan.ticks = ticks, collab.options.plan.final_ticks = final_ticks;
  return collab;
}

/// Every person has a row, and it is the model's. Rows of a product with another number of rows differ in the last bits.
void check_rows_are_the_models(const Collab::Result& result, const std::string& task) {
  CAPTURE(task);
  const auto &rows = result.published.at(task), &made = result.by_model.at(task);
  REQUIRE(rows.size() == kPeople);
  double distance = 0;
  for (const auto& [id, row] : rows) {
    REQUIRE(row.size() == made.at(id).size());
    for (std::size_t j = 0; j < row.size(); ++j) distance = std::max(distance, std::fabs(static_cast<double>(row[j] - made.at(id)[j])));
  }
  CHECK(distance < 1e-5);
}

}  // namespace

TEST_CASE("the store of a finished run is what the weights of its end make of every entity, however the run swept") {
  Collab collab = with_end({}, 40, 4);
  collab.options.plan.burn_in_ticks = 3;
  for (const std::int64_t sweep_ticks : {0, 3, 30}) {
    CAPTURE(sweep_ticks);
    collab.options.plan.sweep_ticks = sweep_ticks;
    const auto result = collab.run();
    check_no_errors(result);
    for (const char* task : {"buys", "stays"}) check_rows_are_the_models(result, task);
    CHECK(test_auc(result, "buys") > 0.9);
  }
}

TEST_CASE("rows of the end and scores depend on no ranks and on no form of the store") {
  Collab collab = with_end(short_run({"store", "align"}), 8, 2);
  collab.options.plan.sweep_ticks = 3;
  const auto reference = collab.run();
  check_no_errors(reference);
  collab.tasks[0].ranks = 2, collab.tasks[1].ranks = 3, collab.order = {1, 0, 1, 0, 1}, collab.exchange = "shared";
  for (const char* store : {"replicated", "sharded"}) {
    collab.options.store = store;
    const auto spread = collab.run();
    check_no_errors(spread);
    if (collab.options.store == "replicated") CHECK(spread.published == reference.published);
    for (const auto& [name, summary] : reference.tasks) {
      CHECK(spread.tasks.at(name).best_parameters_hash == summary.best_parameters_hash);
      CHECK(spread.tasks.at(name).metrics == summary.metrics);
    }
  }
}

TEST_CASE("own layers and exporters of the end are the best of the run until then, and the fusion alone learns on") {
  Collab collab;
  collab.options.plan.ticks = 39;
  const auto without = collab.run();
  const auto result = with_end(collab, 43, 4).run();  // the same 39 ticks, and four more
  check_no_errors(result);
  for (const char* task : {"buys", "stays"}) CHECK(result.by_model.at(task) == without.by_model.at(task));
  const auto &before = without.tasks.at("buys"), &after = result.tasks.at("buys");
  CHECK(after.parameters_hash != before.best_parameters_hash);
  CHECK(after.metrics.at("validation").at("auc") > before.metrics.at("validation").at("auc") - 0.01);
}

TEST_CASE("tasks that have ended before publish what their weights make of all rows too") {
  Collab collab = with_end(short_run({"store"}), 14, 3);
  collab.buys_ends = 6;
  for (const AtEnd at_end : {AtEnd::serve, AtEnd::mask}) {
    collab.at_end = at_end;
    const auto result = collab.run();
    check_no_errors(result);
    for (const char* task : {"buys", "stays"}) check_rows_are_the_models(result, task);
  }
}
