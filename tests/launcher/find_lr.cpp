// What the range test makes of rates and losses.
#include <chorale/launcher/find_lr.hpp>

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace chorale;

namespace {

struct Losses {
  std::vector<double> rates, losses;
};

/// 200 rates from 1e-7 to 10; the loss falls from 2 to 1 around 1e-3 and flies off from 0.1 on.
Losses usual_test() {
  Losses out;
  for (int i = 0; i < 200; ++i) {
    const double power = -7 + 8.0 * i / 199;
    out.rates.push_back(std::pow(10, power));
    out.losses.push_back(1 + 1 / (1 + std::exp(4 * (power + 3))) + (power > -1 ? 50 * (power + 1) : 0));
  }
  return out;
}

}  // namespace

TEST_CASE("the rate to begin with lies where the loss falls fastest, below where it is least") {
  Losses test = usual_test();
  const FoundRate found = judge_rates(test.rates, test.losses);
  CHECK(found.has_fallen);
  CHECK(found.fastest > 1e-3);  // smoothing looks back
  CHECK(found.fastest < 1e-2);
  CHECK(found.lowest > found.fastest);
  CHECK(found.lowest < 0.3);
  for (std::size_t i = 150; i < 200; ++i) test.losses[i] = std::numeric_limits<double>::quiet_NaN();  // rates from 0.1 on
  CHECK(judge_rates(test.rates, test.losses).fastest == found.fastest);
}

TEST_CASE("a loss that only rises, or is gone at once, gives no rate") {
  Losses test = usual_test();
  for (std::size_t i = 0; i < 200; ++i) test.losses[i] = 1 + static_cast<double>(i);
  CHECK(!judge_rates(test.rates, test.losses).has_fallen);
  test.losses[0] = std::numeric_limits<double>::infinity();
  CHECK(!judge_rates(test.rates, test.losses).has_fallen);
}
