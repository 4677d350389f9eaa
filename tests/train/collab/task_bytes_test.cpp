// What tasks tell each other: vectors in fewer bytes, predictions and weights, each as its formula says.
#include "people_run.hpp"

using namespace chorale;

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
  const std::int64_t affinity = 16 + 4 * 8, distill = 16 + 4 * 256;  // ten batches of it in both runs
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
  const std::int64_t affinity = 16 + 4 * 8, weights = 16 + 4 * (8 * kFeatures + 8 + 8 + 1);
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
