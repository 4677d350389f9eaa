#include <catch2/catch.hpp>

#include <cmath>

#include <chorale/launcher/collab/steps_per_tick.hpp>

using namespace chorale;
using Steps = std::vector<std::int64_t>;

namespace {
constexpr double kNoLimit = 1e9;
}

TEST_CASE("the fastest task makes `every` steps a tick, a slower one as many as fit beside them") {
  CHECK(steps_per_tick(50, {1, 2, 3}, kNoLimit) == Steps{50, 25, 17});
  CHECK(steps_per_tick(50, {3, 1, 2}, kNoLimit) == Steps{17, 50, 25});
  CHECK(steps_per_tick(50, {0.2, 0.2}, kNoLimit) == Steps{50, 50});
  CHECK(steps_per_tick(1, {1, 1.9}, kNoLimit) == Steps{1, 1});
}

TEST_CASE("a task that is slower than a whole tick of the others still makes one step") {
  CHECK(steps_per_tick(50, {1, 1000}, kNoLimit) == Steps{50, 1});
}

TEST_CASE("a tick that would last too long is made shorter for all, but never empty") {
  CHECK(steps_per_tick(50, {100, 200}, 2) == Steps{20, 10});  // 20 steps of 100 ms are 2 s
  CHECK(steps_per_tick(50, {100, 200}, 5) == Steps{50, 25});
  CHECK(steps_per_tick(50, {3000, 3000}, 2) == Steps{1, 1});
}

TEST_CASE("a run has ticks enough for the task with most to do") {
  const TickCount count = count_ticks({100, 90}, {50, 10}, {false, false}, 0.4);
  CHECK(count.ticks == 9);  // 90 steps, 10 a tick
  CHECK(count.burn_in == 4);
  CHECK(count_ticks({101, 1}, {50, 50}, {false, false}, 0).ticks == 3);  // what is left over needs a tick too
  CHECK(count_ticks({101, 1}, {50, 50}, {false, false}, 0).burn_in == 0);
}

TEST_CASE("a task that begins after the burn-in makes all of its steps in the rest") {
  for (const double burn_in : {0.0, 0.1, 0.4, 0.5, 0.9}) {
    const TickCount count = count_ticks({60, 1000}, {10, 100}, {false, true}, burn_in);
    INFO("burn-in " << burn_in << ": " << count.ticks << " ticks, " << count.burn_in << " of them first");
    CHECK(count.ticks - count.burn_in >= 10);
    const auto fewer = count_ticks({60, 900}, {10, 100}, {false, true}, burn_in);
    CHECK(fewer.ticks - fewer.burn_in >= 9);
    CHECK(fewer.ticks <= count.ticks);
    CHECK(count.ticks - 1 - std::llround(burn_in * static_cast<double>(count.ticks - 1)) < 10);  // none too many
  }
}

TEST_CASE("nothing to do takes no tick") { CHECK(count_ticks({0, 0}, {5, 5}, {true, false}, 0.4).ticks == 0); }
