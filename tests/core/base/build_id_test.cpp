#include <catch2/catch.hpp>

#include <chorale/core/base/build_id.hpp>

using namespace chorale;

TEST_CASE("a build is known by what the linker stamped into program and library") {
  const std::string id = build_id();
  CAPTURE(id);
  const std::size_t dash = id.find('-');
  REQUIRE(dash != std::string::npos);
  const std::string program = id.substr(0, dash), library = id.substr(dash + 1);
  for (const std::string& half : {program, library}) {
    CHECK(half.size() >= 16);
    CHECK(half.find_first_not_of("0123456789abcdef") == std::string::npos);
  }
  CHECK(program != library);
  CHECK(build_id() == id);
}
