// What people hear of a guard.
#include <catch2/catch.hpp>

#include <chorale/train/collab/guard_news.hpp>

using namespace chorale;

namespace {
struct Lines : Log {
  std::vector<std::string> all;
  void write(LogLevel, std::string_view text) override { all.emplace_back(text); }
};
}  // namespace

TEST_CASE("of a peer that is closed again and again there are two lines: the first closing, and how often in all") {
  Lines lines;
  GuardNews news(lines, "few", {{"calls", "person"}, {"buys", "person"}, {"visits", "product"}});
  const Benefit harms{.mean = -0.25, .error = 0.1, .entities = 40};
  for (std::int64_t validation = 2; validation < 42; validation += 4) {
    news.hear({.validation = validation, .source = 0, .benefit = harms});
    news.hear({.validation = validation + 3, .source = 0, .opens = true});
  }
  news.hear({.validation = 5, .source = 2, .benefit = harms});
  CHECK(lines.all.size() == 2);
  CHECK_THAT(lines.all[0], Catch::StartsWith("few no longer hears calls about persons: its validation loss is 0.25 +- 0.1 higher"));
  CHECK_THAT(lines.all[1], Catch::StartsWith("few no longer hears visits about products"));
  news.hear({.validation = 42, .source = 0, .benefit = harms});
  news.end();
  REQUIRE(lines.all.size() == 3);
  CHECK(lines.all[2] ==
        "few closed calls about persons 11 times and tried it again 10 times, last at validation 42; it does not hear it now");
}

TEST_CASE("a guard that closes nobody says nothing") {
  Lines lines;
  GuardNews news(lines, "few", {{"calls", "person"}});
  news.end();
  CHECK(lines.all.empty());
}
