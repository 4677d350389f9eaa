#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/strict_json.hpp>

using namespace chorale;

namespace {

std::string nested(int depth) { return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}"; }

}  // namespace

TEST_CASE("brackets inside one another are counted, not followed to the end of the stack") {
  CHECK_NOTHROW(parse_json_object(nested(kDeepestJson), "f"));
  CHECK_THROWS_WITH(parse_json_object(nested(kDeepestJson + 1), "f"), Catch::Contains("brackets inside one another"));
  CHECK_THROWS_AS(parse_json_object(nested(4'000'000), "f"), CheckpointError);
}

TEST_CASE("a key twice is refused in every object, the same key in two objects is not") {
  CHECK_NOTHROW(parse_json_object(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})", "f"));
  CHECK_THROWS_WITH(parse_json_object(R"({"b": [{"a": 1, "a": 2}]})", "f"), Catch::StartsWith("f has the key 'a' twice"));
}

TEST_CASE("a count is a whole number from 0 on") {
  const auto json =
      parse_json_object(R"({"good": 18446744073709551615, "minus": -1, "half": 0.5, "whole": 1.0, "yes": true, "text": "1"})", "f");
  CHECK(count_at(json, "good", "f") == ~std::uint64_t{0});
  for (const char* key : {"minus", "half", "whole", "yes", "text", "none"}) CHECK_THROWS_AS(count_at(json, key, "f"), CheckpointError);
}
