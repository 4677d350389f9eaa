#include <catch2/catch.hpp>

#include <cmath>

#include <chorale/core/base/error.hpp>
#include <chorale/train/save_schedule.hpp>

using namespace chorale;

namespace {

std::vector<std::int64_t> due_steps(const SaveSchedule& schedule, std::int64_t last) {
  std::vector<std::int64_t> out;
  for (std::int64_t step = 1; step <= last; ++step)
    if (schedule.is_due(step)) out.push_back(step);
  return out;
}

}  // namespace

TEST_CASE("the best interval is the one that loses least time") {
  for (const double cost : {0.01, 1.0, 60.0, 600.0}) {
    const double mtbf = 3600;
    const auto lost = [&](double interval) {  // exact where failures come without memory (Daly's model)
      return mtbf * (std::exp((interval + cost) / mtbf) - 1) / interval;
    };
    const double best = best_interval_s(cost, mtbf);
    CAPTURE(cost, best);
    CHECK(lost(best) < lost(best * 1.15));
    CHECK(lost(best) < lost(best / 1.15));
  }
  CHECK(best_interval_s(9000, 3600) == 3600);
}

TEST_CASE("steps come before epochs, and with both at 0 only the end is left") {
  CheckpointOptions o;
  CHECK(due_steps(SaveSchedule(o, 7, 0), 21) == std::vector<std::int64_t>{7, 14, 21});
  o.every_epochs = 2;
  CHECK(due_steps(SaveSchedule(o, 7, 0), 28) == std::vector<std::int64_t>{14, 28});
  o.every_steps = 5;
  CHECK(due_steps(SaveSchedule(o, 7, 0), 16) == std::vector<std::int64_t>{5, 10, 15});
  o.every_steps = 0, o.every_epochs = 0;
  CHECK(due_steps(SaveSchedule(o, 7, 0), 28).empty());
}

TEST_CASE("seconds ask once, are followed one step later, and count from the start of the save before") {
  CheckpointOptions o;
  o.every_seconds = 10;
  SaveSchedule schedule(o, 7, 100);
  CHECK(due_steps(schedule, 28).empty());  // epochs do not count beside a clock
  CHECK_FALSE(schedule.is_wanted(109.9));
  CHECK(schedule.is_wanted(110));
  CHECK(schedule.is_wanted(111));  // until all have heard it
  schedule.asked(40);
  CHECK_FALSE(schedule.is_wanted(112));
  CHECK(schedule.is_due(41));
  CHECK_FALSE(schedule.is_due(42));
  schedule.begun(112);
  CHECK_FALSE(schedule.is_wanted(130));  // one at a time
  schedule.ended(0.5);
  CHECK(schedule.is_wanted(130));
  CHECK_FALSE(schedule.is_wanted(121.9));
}

TEST_CASE("auto first measures, then follows cost and failures") {
  CheckpointOptions o;
  o.every = "auto", o.mtbf_hours = 1;
  SaveSchedule schedule(o, 7, 0);
  CHECK(schedule.interval_s() == 30);
  CHECK_FALSE(schedule.has_news());
  schedule.begun(30);
  schedule.ended(2);
  CHECK(schedule.has_news());
  CHECK_FALSE(schedule.has_news());  // said once
  CHECK(schedule.interval_s() == Approx(best_interval_s(2, 3600)));
  CHECK(schedule.interval_s() == Approx(std::sqrt(2 * 2 * 3600.0)).epsilon(0.02));  // Young's
  const double before = schedule.interval_s();
  schedule.begun(200);
  schedule.ended(20);
  CHECK(schedule.interval_s() > before);
  CHECK_FALSE(schedule.has_news());  // a little more is not worth a line
  schedule.begun(600);
  schedule.ended(50);
  CHECK(schedule.interval_s() > 2 * before);
  CHECK(schedule.has_news());
  SaveSchedule by_steps({.every_steps = 5}, 7, 0);
  by_steps.ended(2);
  CHECK_FALSE(by_steps.has_news());
}

TEST_CASE("what auto would pass over is refused") {
  CheckpointOptions o;
  o.every = "auto";
  o.every_steps = 5;
  CHECK_THROWS_WITH(SaveSchedule(o, 7, 0), Catch::Contains("checkpoint.every_steps does nothing"));
  o.every_steps = 0, o.every_seconds = 5;
  CHECK_THROWS_WITH(SaveSchedule(o, 7, 0), Catch::Contains("checkpoint.every_seconds does nothing"));
}
