// Who keeps the others waiting is named, who does not is not.
#include <catch2/catch.hpp>

#include <chorale/train/step_deadline.hpp>
#include <chorale/train/straggler.hpp>

using namespace chorale;

namespace {

Phases work(double ms) { return {.data = 0, .forward = ms / 2, .backward = ms / 2, .communicate = 0, .update = 0}; }

std::vector<std::string> after(int steps, const std::vector<Phases>& phases, double step_ms) {
  Straggler straggler;
  std::vector<std::string> out;
  for (int i = 0; i < steps; ++i)
    if (auto text = straggler.add(phases, step_ms)) out.push_back(*text);
  return out;
}

}  // namespace

TEST_CASE("a rank that is slower by a clear share is named with it, and not again at once") {
  const auto lines = after(200, {work(5), work(55), work(5)}, 60);
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], Catch::StartsWith("rank 1 is slower than the others: its part of a step takes 55 ms, theirs 5 ms") &&
                           Catch::Contains("83 % of the time"));
}

TEST_CASE("ranks that are about as fast, a single rank and short windows are not talked about") {
  CHECK(after(500, {work(50), work(55), work(48)}, 60).empty());
  CHECK(after(500, {work(50)}, 60).empty());
  CHECK(after(49, {work(5), work(55)}, 60).empty());
  CHECK(after(500, {work(0.01), work(0.1)}, 1).empty());  // slow, but nobody loses much
}

TEST_CASE("the deadline of steps follows the slowest phase, within its limits") {
  StepDeadline deadline(60);
  const std::vector<Phases> fast = {work(5), work(6)}, slow = {work(5), work(2000)};
  for (int i = 1; i < 50; ++i) CHECK_FALSE(deadline.add(fast));
  CHECK(deadline.ms() == 60000);
  CHECK(deadline.add(fast));
  CHECK(deadline.ms() == 10000);  // 20 times 3 ms is less
  CHECK_FALSE(deadline.add(fast));
  CHECK(deadline.add(slow));
  CHECK(deadline.ms() == 20000);  // 20 times 1 s
  StepDeadline tight(4);
  for (int i = 0; i < 60; ++i) tight.add(slow);
  CHECK(tight.ms() == 4000);  // a value below 10 s is obeyed
}
