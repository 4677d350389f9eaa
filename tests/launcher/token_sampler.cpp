// What a token is drawn from.
#include <chorale/launcher/token_sampler.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <chorale/core/base/error.hpp>

using namespace chorale;

namespace {
const std::vector<double> kLogits = {0.5, 2.0, -1.0, 1.0};

std::array<double, 4> shares(const SamplingOptions& options) {
  RandomStream random(3);
  std::array<double, 4> out{};
  for (int i = 0; i < 40000; ++i) out[static_cast<std::size_t>(draw_token(kLogits, options, random))] += 1.0 / 40000;
  return out;
}
}  // namespace

TEST_CASE("tokens are drawn by their softmax at a temperature") {
  for (const double temperature : {1.0, 0.5, 3.0}) {
    const auto found = shares({.temperature = temperature});
    double sum = 0;
    for (const double z : kLogits) sum += std::exp(z / temperature);
    for (std::size_t i = 0; i < 4; ++i) CHECK(found[i] == Approx(std::exp(kLogits[i] / temperature) / sum).margin(0.01));  // 4 deviations
  }
}

TEST_CASE("temperature 0 takes the likeliest, top-k none but the k likeliest, and what is excluded never comes") {
  RandomStream random(1);
  CHECK(draw_token(kLogits, {.temperature = 0}, random) == 1);
  CHECK(draw_token(kLogits, {.temperature = 0, .excluded = 1}, random) == 3);
  const auto two = shares({.top_k = 2});
  CHECK(two[0] == 0);
  CHECK(two[2] == 0);
  CHECK(two[1] == Approx(1 / (1 + std::exp(-1.0))).margin(0.01));
  CHECK(shares({.excluded = 1})[1] == 0);
  const std::vector<double> bad(3, std::numeric_limits<double>::quiet_NaN());
  CHECK_THROWS_AS(draw_token(bad, {}, random), NumericError);
}
