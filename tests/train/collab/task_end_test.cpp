// Tasks that end before the others.
#include "people_run.hpp"

using namespace chorale;

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
