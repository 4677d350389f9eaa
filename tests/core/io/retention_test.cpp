#include <catch2/catch.hpp>

#include <chorale/core/io/retention.hpp>

using namespace chorale;

namespace {

std::vector<RatedCheckpoint> rated(const std::vector<std::pair<std::int64_t, double>>& scores, bool higher_is_better) {
  std::vector<RatedCheckpoint> out;
  for (const auto& [step, value] : scores) out.push_back({step, CheckpointScore{"validation.x", value, higher_is_better}});
  return out;
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("the newest stay, and one always does") {
  const auto all = rated({{10, 1}, {20, 1}, {30, 1}}, true);
  CHECK(outdated(all, {.last = 2}) == Steps{10});
  CHECK(outdated(all, {.last = 0}) == Steps{10, 20});
  CHECK(outdated(all, {.last = 9}).empty());
  CHECK(outdated({}, {.last = 1}).empty());
}

TEST_CASE("the best stay by their score, whichever way it counts, the earlier of equals first") {
  const std::vector<std::pair<std::int64_t, double>> scores = {{10, 0.7}, {20, 0.9}, {30, 0.9}, {40, 0.8}, {50, 0.1}};
  CHECK(outdated(rated(scores, true), {.last = 1, .best = 1}) == Steps{10, 30, 40});
  CHECK(outdated(rated(scores, true), {.last = 1, .best = 3}) == Steps{10});
  CHECK(outdated(rated(scores, false), {.last = 1, .best = 2}) == Steps{20, 30, 40});
}

TEST_CASE("a checkpoint without a score, or with one of another name, is not among the best") {
  std::vector<RatedCheckpoint> all = rated({{10, 0.99}, {20, 0.5}, {30, 0.4}}, true);
  all[0].score->name = "validation.other";
  all.push_back({40, std::nullopt});
  CHECK(outdated(all, {.last = 1, .best = 1}) == Steps{10, 30});
}

TEST_CASE("multiples stay for ever") {
  CHECK(outdated(rated({{100, 1}, {150, 1}, {200, 1}, {250, 1}}, true), {.last = 1, .every = 100}) == Steps{150});
}
