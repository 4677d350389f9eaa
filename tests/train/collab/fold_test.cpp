// Publishing out of fold: what is published of an entity is made by a model that its labels have not trained.
#include "people_run.hpp"

#include <chorale/train/collab/fold_rows.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kFolds = 3;

Collab out_of_fold() {
  Collab collab = short_run({"store"});
  collab.tasks[1].folds = kFolds;
  return collab;
}

}  // namespace

TEST_CASE("no label of an entity reaches the vector that is published of it") {
  for (const std::int64_t folds : {std::int64_t{0}, kFolds}) {
    CAPTURE(folds);
    Collab collab = out_of_fold();
    collab.tasks[1].folds = folds;
    const auto first = collab.run();
    collab.has_other_label = [](EntityId id) { return fold_of(id, kFolds) == 0; };
    const auto second = collab.run();
    check_no_errors(first), check_no_errors(second);
    std::int64_t changed[2] = {0, 0}, people[2] = {0, 0};  // in the fold, and outside
    for (const auto& [id, row] : first.published.at("stays")) {
      const std::size_t at = fold_of(id, kFolds) == 0 ? 0 : 1;
      ++people[at], changed[at] += row != second.published.at("stays").at(id);
    }
    CHECK(people[0] > kPeople / 4);
    CHECK(people[1] > kPeople / 2);
    CHECK(changed[0] == (folds > 0 ? 0 : people[0]));
    CHECK(changed[1] == people[1]);
  }
}

TEST_CASE("models of folds know what the task's own would say, whatever its ranks") {
  Collab collab;
  collab.tasks[1].folds = kFolds;
  const auto result = collab.run();
  check_no_errors(result);
  CHECK(test_auc(result, "buys") > 0.95);  // without sharing 0.72: its label follows from the other trait
  collab.tasks[0].ranks = 2, collab.tasks[1].ranks = 3;
  const auto spread = collab.run();
  check_no_errors(spread);
  for (const auto& [name, summary] : result.tasks) {
    CHECK(spread.tasks.at(name).parameters_hash == summary.parameters_hash);
    CHECK(spread.tasks.at(name).metrics == summary.metrics);
  }
  CHECK(spread.published == result.published);
}

TEST_CASE("the task's own model learns the same beside models of folds") {
  Collab collab = out_of_fold();
  const auto with = collab.run();
  collab.tasks[1].folds = 0;
  const auto without = collab.run();
  check_no_errors(with), check_no_errors(without);
  CHECK(with.tasks.at("stays").steps == without.tasks.at("stays").steps);
  CHECK(test_auc(with, "stays") == Approx(test_auc(without, "stays")).margin(0.01));
}
