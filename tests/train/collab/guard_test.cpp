// When a peer is heard: the rule alone, fed by hand.
#include <catch2/catch.hpp>

#include <chorale/train/collab/guard.hpp>

using namespace chorale;

namespace {
constexpr Benefit kHelps{.mean = 0.05, .error = 0.01, .entities = 10}, kHarms{.mean = -0.05, .error = 0.01, .entities = 10};
constexpr Benefit kTie{.mean = -0.005, .error = 0.01, .entities = 10};

bool open_after(Guard& guard, const Benefit& benefit) {
  guard.judge(std::span(&benefit, 1));
  return guard.is_open(0);
}
}  // namespace

TEST_CASE("a source is closed when it harms twice running, not by single times or ties") {
  Guard guard(1);
  for (const Benefit& b : {kHarms, kTie, kHarms, kHelps, kHarms, kTie, kTie}) CHECK(open_after(guard, b));
  CHECK(open_after(guard, kHarms));
  CHECK_FALSE(open_after(guard, kHarms));
}

TEST_CASE("three validations later it is tried again, and only a clear gain keeps it") {
  for (const auto& [benefit, stays] : {std::pair(kHelps, true), std::pair(kTie, false), std::pair(kHarms, false)}) {
    Guard guard(1);
    open_after(guard, kHarms);
    CHECK_FALSE(open_after(guard, kHarms));
    CHECK_FALSE(open_after(guard, kHelps));
    CHECK_FALSE(open_after(guard, kHelps));
    CHECK(open_after(guard, kHelps));  // from here on it is heard again
    CHECK(open_after(guard, benefit) == stays);
    if (!stays) continue;
    CHECK(open_after(guard, kTie));  // the trial is over
    CHECK(open_after(guard, kHarms));
  }
}

TEST_CASE("sources are judged one by one") {
  Guard guard(2);
  const std::vector<Benefit> both = {kHarms, kHelps};
  CHECK(guard.judge(both).empty());
  const std::vector<GuardEvent> events = guard.judge(both);
  REQUIRE(events.size() == 1);
  CHECK(events[0].source == 0);
  CHECK(events[0].validation == 2);
  CHECK_FALSE(guard.is_open(0));
  CHECK(guard.is_open(1));
}
