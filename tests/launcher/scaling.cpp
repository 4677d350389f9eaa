#include <chorale/launcher/scaling.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace chorale;

namespace {
const std::vector<int> kRanks = {1, 2};
}

TEST_CASE("weak scaling compares runs of the same round, so a machine that slows down costs no efficiency") {
  const std::vector<std::int64_t> batches = {32, 64};
  const std::vector<std::vector<ScaleRun>> runs = {{{1.0, 0}, {1.25, 0.1}}, {{3.0, 0}, {3.75, 0.2}}, {{2.0, 0}, {2.5, 0.3}}};
  const auto points = scale_points(kRanks, batches, runs);
  REQUIRE(points.size() == 2);
  CHECK(points[1].efficiency.min == Approx(0.8));
  CHECK(points[1].efficiency.max == Approx(0.8));
  CHECK(points[1].step_ms.median == Approx(2.5));
  CHECK(points[1].samples_per_second.max == Approx(64 / 1.25e-3));
  CHECK(points[1].exposed.median == Approx(0.2));
}

TEST_CASE("strong scaling shares one batch: half the time on two ranks is an efficiency of one") {
  const std::vector<std::int64_t> batches = {64, 64};
  const std::vector<std::vector<ScaleRun>> runs = {{{2.0, 0}, {1.0, 0}}};
  CHECK(scale_points(kRanks, batches, runs)[1].efficiency.median == Approx(1.0));
}

TEST_CASE("a sweep that starts at two ranks measures efficiency from there") {
  const std::vector<int> ranks = {2, 4};
  const std::vector<std::int64_t> batches = {64, 128};
  const std::vector<std::vector<ScaleRun>> runs = {{{1.0, 0}, {1.0, 0}}};
  CHECK(scale_points(ranks, batches, runs)[1].efficiency.median == Approx(1.0));
}

TEST_CASE("a spread is the median between the extremes") {
  CHECK(spread_of({3, 1, 2}).median == 2);
  CHECK(spread_of({4, 1, 2, 3}).median == Approx(2.5));
  CHECK(spread_of({4, 1, 2}).min == 1);
  CHECK(spread_of({4, 1, 2}).max == 4);
}

TEST_CASE("scale.json holds every figure of the table") {
  const std::vector<std::int64_t> batches = {32, 64};
  const std::vector<std::vector<ScaleRun>> runs = {{{1.0, 0}, {1.25, 0.1}}};
  const Scaling scaling{.mode = "weak", .subject = "mlp", .repeat = 1, .cores = 1, .points = scale_points(kRanks, batches, runs)};
  const auto json = nlohmann::json::parse(scaling_json(scaling));
  CHECK(json["points"][1]["efficiency"]["median"] == Approx(0.8));
  CHECK(json["points"][1]["communicate_not_hidden"]["max"] == Approx(0.1));
  CHECK_THAT(scaling_table(scaling), Catch::Contains("0.800 (0.800 to 0.800)") && Catch::Contains("cannot reach 1"));
}
