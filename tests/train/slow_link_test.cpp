// A link on which most of the time is lost is named, once; a fast one, a short exchange and a slow rank are not taken for it.
#include <catch2/catch.hpp>

#include <vector>

#include <chorale/train/slow_link.hpp>

using namespace chorale;

namespace {

Phases waits(double ms) { return {.data = 0, .forward = 1, .backward = 1, .communicate = ms, .update = 0}; }

std::vector<std::string> after(int steps, const std::vector<Phases>& phases, double step_ms, double bytes) {
  SlowLink link("a and b", bytes);
  std::vector<std::string> out;
  for (int i = 0; i < steps; ++i)
    if (auto text = link.add(phases, step_ms)) out.push_back(*text);
  return out;
}

}  // namespace

TEST_CASE("a link that takes most of a step is named once, with its speed and its nodes") {
  const auto lines = after(200, {waits(698), waits(696)}, 700, 87000);  // 1 Mbit/s
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], Catch::StartsWith("the link between nodes is slow: measured 0.125 MB/s between a and b; 99 % of a step of 700 ms") &&
                           Catch::Contains("exchange of 0.087 MB"));
}

TEST_CASE("it is named after ten steps and a second, not before") {
  CHECK(after(9, {waits(698), waits(696)}, 700, 87000).empty());
  CHECK(after(10, {waits(698), waits(696)}, 700, 87000).size() == 1);
  CHECK(after(40, {waits(20), waits(20)}, 22, 87000).empty());
  CHECK(after(46, {waits(20), waits(20)}, 22, 87000).size() == 1);
}

TEST_CASE("a gigabit, a step that hides its exchange, a short exchange and a rank that others wait for are no slow link") {
  CHECK(after(500, {waits(10), waits(10)}, 12, 1200000).empty());
  CHECK(after(500, {waits(40), waits(40)}, 100, 87000).empty());
  CHECK(after(2000, {waits(3), waits(3)}, 4, 2000).empty());
  CHECK(after(500, {waits(90), waits(2)}, 95, 87000).empty());
  CHECK(after(500, {waits(90), waits(90)}, 95, 0).empty());  // one node, or nothing was sent
  CHECK(after(500, {}, 95, 87000).empty());
}

TEST_CASE("the limit is between a link of 100 Mbit and what is twice as fast") {
  CHECK(after(100, {waits(80), waits(80)}, 100, 1000000).size() == 1);  // 12.5 MB/s
  CHECK(after(100, {waits(40), waits(40)}, 50, 1000000).empty());
}
