// Bits of tasks that share depend on no layout of ranks and on no form of the store; what controls hear.
#include "people_run.hpp"

using namespace chorale;

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
