#include <catch2/catch.hpp>

#include <chorale/train/free_core.hpp>

using namespace chorale;

TEST_CASE("a communication thread needs a physical core beside those that compute, for every rank") {
  using Cores = std::set<std::string>;
  const Cores two = {"0.0", "0.1"}, first = {"0.0"}, second = {"0.1"}, four = {"0.0", "0.1", "0.2", "0.3"};
  CHECK(has_free_core_each({{"a", two, 1}}));
  CHECK_FALSE(has_free_core_each({{"a", two, 2}}));
  CHECK_FALSE(has_free_core_each({{"a", two, 1}, {"a", two, 1}}));       // not bound: they share what there is
  CHECK_FALSE(has_free_core_each({{"a", first, 1}, {"a", second, 1}}));  // bound to a core each
  CHECK(has_free_core_each({{"a", four, 1}, {"a", four, 1}}));
  CHECK(has_free_core_each({{"a", two, 1}, {"a", {"0.2", "0.3"}, 1}}));
  CHECK(has_free_core_each({{"a", two, 1}, {"b", two, 1}}));  // equal names of cores on two machines
}

TEST_CASE("one rank without a free core is enough for all to do without") {
  using Cores = std::set<std::string>;
  const Cores two = {"0.0", "0.1"}, four = {"0.0", "0.1", "0.2", "0.3"};
  CHECK_FALSE(has_free_core_each({{"a", four, 1}, {"b", two, 1}, {"b", two, 1}}));
  CHECK_FALSE(has_free_core_each({{"a", four, 3}, {"a", {"0.0"}, 1}}));  // the bound one has none, whatever the other leaves
  CHECK(has_free_core_each({{"a", four, 1}, {"a", two, 1}}));
  CHECK_FALSE(has_free_core_each({{"a", four, 2}, {"a", two, 1}}));  // 3 + 2 threads on 4 cores
}
