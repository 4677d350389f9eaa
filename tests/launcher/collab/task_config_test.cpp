// What collab.finalise asks for, and what is left of it in a short run.
#include <catch2/catch.hpp>

#include <chorale/launcher/collab/task_config.hpp>

using namespace chorale;

namespace {
struct Shares {
  CollabRecipe recipe;
  Shares(double finalise, double probe, std::vector<std::string> strategy = {"store"}) {
    recipe.settings.finalise = finalise, recipe.settings.probe = probe, recipe.settings.strategy = std::move(strategy);
  }
};
}  // namespace

TEST_CASE("an end that is cut short is said, another one is not") {
  const Shares usual(0.1, 0.1);
  CHECK(final_ticks(usual.recipe, {.ticks = 40, .burn_in = 4}) == 4);
  CHECK(changed_end(usual.recipe, {.ticks = 40, .burn_in = 4}).empty());
  const Shares late(0.5, 0.4);
  CHECK(final_ticks(late.recipe, {.ticks = 20, .burn_in = 4}) == 4);  // half of the 8 that are left
  CHECK_THAT(changed_end(late.recipe, {.ticks = 20, .burn_in = 4}), Catch::Contains("4 of 10 ticks, for 8 are left"));
  CHECK(final_ticks(late.recipe, {.ticks = 3, .burn_in = 2}) == 0);
  CHECK_THAT(changed_end(late.recipe, {.ticks = 3, .burn_in = 2}), Catch::Contains("0 of 2 ticks"));
}

TEST_CASE("without a fusion, or with a share of 0, there is no end, and nothing to say") {
  const Shares without(0, 0.1), other(0.1, 0.1, {"distill"});
  for (const Shares* shares : {&without, &other}) {
    CHECK(final_ticks(shares->recipe, {.ticks = 40, .burn_in = 4}) == 0);
    CHECK(changed_end(shares->recipe, {.ticks = 40, .burn_in = 4}).empty());
  }
}
