#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/option.hpp>

using namespace chorale;
using Words = std::vector<std::string>;

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
