#include <catch2/catch.hpp>

#include <chorale/core/base/option.hpp>
#include <chorale/core/base/registry.hpp>

using namespace chorale;

TEST_CASE("an error that names a key is located where the recipe set that key") {
  std::string split = "random", seed = "1";
  OptionTable table;
  table.add("data.split", split, "Parts.");
  table.add("data.split_seed", seed, "Seed.");
  table.set("data.split", "foo", "shop.ini:7");
  table.set("data.split_seed", "2", "shop.ini:9");
  CHECK(table.located("data.split: 'foo' is unknown") == "shop.ini:7: data.split: 'foo' is unknown");
  CHECK(table.located("data.split_seed is odd") == "shop.ini:9: data.split_seed is odd");
  CHECK(table.located("the file is empty") == "the file is empty");
  table.set("data.split", "bar");  // a flag
  CHECK(table.located("data.split: 'bar' is unknown") == "data.split: 'bar' is unknown");
}

TEST_CASE("a short word is not corrected to one that shares a letter with it") {
  CHECK(nearest_name("bce", {"mae", "mse"}).empty());
  CHECK(nearest_name("adm", {"adam", "sgd"}) == "adam");
  CHECK(nearest_name("aeg", {"month", "age"}) == "age");  // two letters swapped
  CHECK(nearest_name("tset", {"train", "test"}) == "test");
}

