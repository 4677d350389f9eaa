// Two or three tasks that train on disjoint ranks and share: what they learn from each other, and what is refused.
#include "people_run.hpp"

using namespace chorale;

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
