#include <catch2/catch.hpp>

#include <chorale/core/base/excerpt.hpp>

using namespace chorale;

TEST_CASE("an excerpt is short, ends at a whole letter and hides nothing behind a NUL") {
  CHECK(excerpt("short") == "short");
  CHECK(excerpt("abcdef", 6) == "abcdef");
  CHECK(excerpt("abcdefg", 6) == "abcdef...");
  CHECK(excerpt("ab\xc3\xbc"
                "d",
                3) == "ab...");
  CHECK(excerpt("\x80\x80\x80\x80", 2) == "...");
  CHECK(excerpt(std::string_view("a\0b", 3)) == "a\\0b");
  CHECK(excerpt("a\nchorale: done") == "a\\nchorale: done");
}
