// The rate of each update, as a run has it: shown, resumed, lowered on a plateau.
#include <chorale/train/rate_schedule.hpp>

#include "folder.hpp"
#include "results.hpp"

#include <catch2/catch.hpp>

using namespace chorale;

namespace {

/// Three epochs of seven steps.
SmallRun scheduled(const ScheduleOptions& schedule) {
  SmallRun run;
  run.config.train.batch = 32, run.config.train.epochs = 3, run.config.train.log_every = 1;
  run.config.parallel.virtual_workers = 4;
  run.optimizer.lr = 0.05;
  run.optimizer.schedule = schedule;
  return run;
}

struct ShownRates : Callback {
  void on_step(const StepEvent& e) override { by_step[e.step] = e.lr; }
  std::map<std::int64_t, double> by_step;
};

std::string refusal_of(const ScheduleOptions& schedule) { return scheduled(schedule).run().errors[0]; }

std::vector<ScheduleOptions> every_schedule() {
  return {{.name = "constant", .warmup_steps = 3},
          {.name = "cosine", .warmup_epochs = 0.5, .end_factor = 0.1},
          {.name = "linear"},
          {.name = "polynomial", .power = 3},
          {.name = "step", .drop_at = {"1", "2.5"}, .drop_factor = 0.2},
          {.name = "one_cycle", .rise_share = 0.4},
          {.name = "plateau", .end_factor = 0.01, .drop_factor = 0.3, .plateau = {"validation.loss", "1"}},
          {.name = "warmup_stable_decay", .warmup_steps = 2, .cooldown_share = 0.5}};
}

}  // namespace

TEST_CASE("a run shows the rate of each update, and one that is cut and resumed has the same rates and parameters") {
  Registry registry;
  register_all(registry);
  std::vector<std::string> left = registry.of<ScheduleEntry>().names();
  for (const ScheduleOptions& schedule : every_schedule()) {
    CAPTURE(schedule.name);
    std::erase(left, schedule.name);
    SmallRun run = scheduled(schedule);
    run.config.train.evaluate_every = 2;
    run.optimizer.schedule.steps = schedule.name == "constant" || schedule.name == "step" || schedule.name == "plateau" ? 0 : 21;
    ShownRates whole_rates, cut_rates;
    run.callbacks = {&whole_rates};
    const auto whole = run.run();
    check_no_errors(whole);
    const RateSchedule formula(run.optimizer.schedule, registry, 7, 21);
    for (const auto& [step, lr] : whole_rates.by_step)
      if (schedule.name != "plateau") CHECK(lr == 0.05 * formula.factor(step));
    if (schedule.name == "plateau") CHECK(whole_rates.by_step.at(21) < 0.05);
    Folder folder;
    SmallRun cut = run;
    cut.callbacks = {&cut_rates};
    cut.config.checkpoint_folder = folder.path.string();
    cut.config.train.steps = 9;
    check_no_errors(cut.run());
    cut.config.train.steps = 0, cut.config.resume = true, cut.ranks = 2, cut.config.parallel.exchange = "shared";
    const auto resumed = cut.run();
    check_no_errors(resumed);
    CHECK(resumed.summary.parameters_hash == whole.summary.parameters_hash);
    CHECK(cut_rates.by_step == whole_rates.by_step);
  }
  CHECK(left.empty());
}

TEST_CASE("a plateau lowers the rate after evaluations without improvement, not below its end") {
  Registry registry;
  register_all(registry);
  RateSchedule rate({.name = "plateau", .end_factor = 0.2, .drop_factor = 0.5, .plateau = {"validation.loss", "2"}}, registry, 10, 100);
  const auto tell = [&](double loss, std::int64_t step) { return rate.take({{"validation", {{"loss", loss}}}}, step); };
  CHECK(!tell(1.0, 1));
  CHECK(!tell(1.1, 2));
  CHECK(rate.factor(3) == 1);
  CHECK(tell(1.0, 3));  // equal is no improvement
  CHECK(rate.factor(4) == 0.5);
  CHECK(!tell(0.9, 4));
  CHECK(!tell(0.95, 5));
  CHECK(tell(0.95, 6));
  CHECK(rate.factor(7) == 0.25);
  CHECK(!tell(2, 7));
  CHECK(tell(2, 8));
  CHECK(rate.factor(9) == 0.2);
  CHECK(!tell(2, 9));
  CHECK(!tell(2, 10));  // as low as it goes
}

TEST_CASE("keys of another schedule, and schedules without what they need, are refused with the remedy") {
  CHECK_THAT(refusal_of({.name = "cosine", .power = 3}),
             Catch::Contains("optimizer.power does nothing with optimizer.schedule = cosine") && Catch::Contains("use one of polynomial"));
  CHECK_THAT(refusal_of({.name = "step"}), Catch::Contains("needs optimizer.drop_at"));
  CHECK_THAT(refusal_of({.name = "step", .drop_at = {"2", "1"}}), Catch::Contains("expected rising epochs"));
  CHECK_THAT(refusal_of({.name = "one_cycle", .warmup_steps = 2}), Catch::Contains("rises by itself"));
  CHECK_THAT(refusal_of({.name = "linear", .warmup_steps = 21}), Catch::Contains("warm-up takes 21 of 21 updates"));
  CHECK_THAT(refusal_of({.name = "plateau", .plateau = {"loss", "3"}}), Catch::Contains("optimizer.plateau is a score"));
  SmallRun blind = scheduled({.name = "plateau"});
  blind.validation = nullptr;
  CHECK_THAT(blind.run().errors[0], Catch::Contains("optimizer.schedule = plateau needs validation rows"));
}

TEST_CASE("the rate is scaled by the batch where the one that it is meant for is told") {
  SmallRun given = scheduled({}), meant = given;
  meant.optimizer.lr = 0.025, meant.optimizer.base_batch = 16;
  CHECK(meant.run().summary.parameters_hash == given.run().summary.parameters_hash);
  meant.optimizer.lr = 0.0125, meant.optimizer.base_batch = 2, meant.optimizer.batch_rule = "sqrt";
  CHECK(meant.run().summary.parameters_hash == given.run().summary.parameters_hash);
}
