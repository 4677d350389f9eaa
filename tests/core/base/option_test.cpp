#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/core/base/registry.hpp>

using namespace chorale;
using Words = std::vector<std::string>;

TEST_CASE("a number with anything behind it is refused, a NUL too") {
  double lr = 0;
  OptionTable table;
  table.add("optimizer.lr", lr, "Rate.");
  CHECK_THROWS_AS(table.set("optimizer.lr", std::string_view("1\0002", 3)), UsageError);
  CHECK_THROWS_AS(table.set("optimizer.lr", "1 2"), UsageError);
}

TEST_CASE("a long value or key of others makes no long error") {
  double lr = 0;
  OptionTable table;
  table.add("optimizer.lr", lr, "Rate.");
  for (const char* key : {"optimizer.lr", "optimizer.lx"}) {
    try {
      table.set(key, std::string(100000, 'x'));
      FAIL();
    } catch (const UsageError& error) {
      CHECK(std::string(error.what()).size() < 300);
    }
  }
}

TEST_CASE("a list takes names with blanks, commas and quotes in double quotes") {
  CHECK(words_of("a, b\tc") == Words{"a", "b", "c"});
  CHECK(words_of("\"Customer ID\" x \"a,b\",y") == Words{"Customer ID", "x", "a,b", "y"});
  CHECK(words_of("\"5\"\" disk\"") == Words{"5\" disk"});
  CHECK(words_of("5\"disk") == Words{"5\"disk"});
  CHECK(words_of("  ").empty());
  CHECK_THROWS_AS(words_of("a \"b c"), UsageError);
}

TEST_CASE("what a list prints reads back as the same list") {
  for (const Words& words : {Words{"a", "b"}, Words{"Customer ID", "x#y", "a,b"}, Words{"5\" disk", "t\tab", "\"q\""}, Words{}})
    CHECK(words_of(list_text(words)) == words);
}

TEST_CASE("a check refuses a value before it reaches the field") {
  std::string text = "old";
  OptionTable table;
  table.add("data.memory", text, "A size.", {.check = [](const std::string& value) {
              if (value == "abc") throw UsageError("data.memory = abc is refused");
            }});
  CHECK_THROWS_AS(table.set("data.memory", "abc"), UsageError);
  CHECK(text == "old");
  table.set("data.memory", "2GB");
  CHECK(text == "2GB");
}

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
