#include <catch2/catch.hpp>
#include <cmath>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/launcher/collab/study_statistics.hpp>

using namespace chorale;

namespace {

/// Two arms of one task on one test set, scored by a mean: term = entity's luck + arm's share of it + seed's luck + noise.
struct Design {
  std::size_t seeds = 10, entities = 60, rows_per_entity = 1;
  double difference = 0.3, seed_noise = 0.1, entity_noise = 0.5, noise = 0.5;
};

struct TwoArms {
  std::vector<TaskScores> a, b;
  ArmRuns pointers(const std::vector<TaskScores>& runs) const {
    ArmRuns out;
    for (const TaskScores& run : runs) out.push_back(&run);
    return out;
  }
  std::vector<ArmRuns> arms() const { return {pointers(a), pointers(b)}; }
};

void set_value(TaskScores& t) {
  for (const double term : t.prediction) t.value += term / static_cast<double>(t.prediction.size());
}

TwoArms make(const Design& d, RandomStream& random) {
  TwoArms out;
  std::vector<double> luck;
  for (std::size_t e = 0; e < d.entities; ++e) luck.push_back(d.entity_noise * random.normal());
  for (std::size_t s = 0; s < d.seeds; ++s) {
    TaskScores a{.task = "t", .metric = "mae"}, b = a;
    const double seed = d.seed_noise * random.normal();
    for (std::size_t e = 0; e < d.entities; ++e) {
      const double term = d.difference + seed + luck[e] + d.noise * random.normal();
      for (std::size_t k = 0; k < d.rows_per_entity; ++k) {
        a.entity.push_back(e);
        a.target.push_back(0);
        a.prediction.push_back(10 + term);
        b.prediction.push_back(10);
      }
    }
    b.entity = a.entity;
    b.target = a.target;
    set_value(a);
    set_value(b);
    out.a.push_back(a);
    out.b.push_back(b);
  }
  return out;
}

std::vector<double> values(const std::vector<TaskScores>& runs) {
  std::vector<double> out;
  for (const TaskScores& run : runs) out.push_back(run.value);
  return out;
}

Difference compare(const TwoArms& two, const BootstrapOptions& options) {
  const std::vector<ArmRuns> arms = two.arms();
  const auto draws = bootstrap_means(arms, options);
  return difference(values(two.a), values(two.b), draws[0], draws[1]);
}

}  // namespace

TEST_CASE("95 % intervals hold the true difference in about 95 % of experiments, whichever noise is the larger") {
  const std::uint64_t seed = 2;
  INFO("seed " << seed);
  RandomStream random(seed);
  for (const double entity_noise : {0.0, 0.5}) {
    const Design design{.seed_noise = entity_noise > 0 ? 0.02 : 0.15, .entity_noise = entity_noise};
    int held = 0;
    constexpr int kRepeats = 400;
    for (int i = 0; i < kRepeats; ++i) {
      const Difference d = compare(make(design, random), {.draws = 300, .seed = static_cast<std::uint64_t>(i)});
      held += d.low <= design.difference && design.difference <= d.high ? 1 : 0;
    }
    // Of 400 at 95 % four standard errors are 17; percentile intervals over ten seeds are known to be a few % short.
    INFO("entity noise " << entity_noise);
    CHECK(held >= 345);
    CHECK(held <= 399);
  }
}

TEST_CASE("without a difference, p below 0.05 comes about once in twenty experiments") {
  RandomStream random(3);
  int below = 0;
  for (int i = 0; i < 300; ++i)
    below += compare(make({.difference = 0}, random), {.draws = 300, .seed = static_cast<std::uint64_t>(i)}).p < 0.05 ? 1 : 0;
  CHECK(below <= 33);  // 15 expected, four standard errors are 15, and percentile intervals are short by a few
  CHECK(below >= 2);
}

TEST_CASE("equal arms differ by exactly 0, and p is 1") {
  RandomStream random(4);
  TwoArms two = make({}, random);
  two.b = two.a;
  CHECK(compare(two, {.draws = 200}) == Difference{.mean = 0, .low = 0, .high = 0, .p = 1});
}

TEST_CASE("pairing takes away what both arms share: a constant lead has an interval of no width") {
  RandomStream random(5);
  TwoArms two = make({}, random);
  two.b = two.a;
  for (TaskScores& run : two.b) {
    for (double& term : run.prediction) term -= 0.25;
    run.value -= 0.25;
  }
  const Difference d = compare(two, {.draws = 200});
  CHECK(d.low == Approx(0.25));
  CHECK(d.high == Approx(0.25));
  CHECK(d.p == Approx(2.0 / 201));
}

TEST_CASE("rows of one entity that repeat each other add nothing to what is known") {
  RandomStream once(6), again(6);
  const TwoArms single = make({}, once), repeated = make({.rows_per_entity = 5}, again);
  const Difference one = compare(single, {}), five = compare(repeated, {});
  CHECK(five.high - five.low == Approx(one.high - one.low).epsilon(1e-9));  // the same draws, sums in another order
  TwoArms apart = repeated;
  for (auto* runs : {&apart.a, &apart.b})
    for (TaskScores& run : *runs)
      for (std::size_t i = 0; i < run.entity.size(); ++i) run.entity[i] = i;
  const Difference split = compare(apart, {});
  CHECK(split.high - split.low < 0.75 * (five.high - five.low));
}

TEST_CASE("ten seeds on one test set do not average away the luck of that set") {
  RandomStream random(7);
  const Design design{.seed_noise = 0, .entity_noise = 1, .noise = 0};
  const Difference d = compare(make(design, random), {});
  const double expected = 2 * 1.96 / std::sqrt(static_cast<double>(design.entities));
  CHECK(d.high - d.low > 0.75 * expected);  // independent draws by seed would give a third
  CHECK(d.high - d.low < 1.25 * expected);
}

TEST_CASE("the same seed of the bootstrap gives the same bits, another gives others") {
  RandomStream random(8);
  const TwoArms two = make({}, random);
  CHECK(compare(two, {.draws = 100, .seed = 1}) == compare(two, {.draws = 100, .seed = 1}));
  CHECK(compare(two, {.draws = 100, .seed = 1}).low != compare(two, {.draws = 100, .seed = 2}).low);
}

TEST_CASE("arms that were scored on other rows are no pairs") {
  RandomStream random(9);
  TwoArms two = make({}, random);
  two.b[3].entity[1] = 99;
  CHECK_THROWS_WITH(compare(two, {.draws = 10}), Catch::Contains("different test rows"));
  two = make({}, random);
  two.b.pop_back();
  CHECK_THROWS_AS(compare(two, {.draws = 10}), InternalError);
}

TEST_CASE("an AUC that most draws leave undefined has no interval") {
  TaskScores a{.task = "t", .metric = "auc", .higher_is_better = true, .value = 1};
  a.prediction = {0.9, 0.1, 0.2};
  a.target = {1, 0, 0};  // a third of the draws has no positive
  a.entity = {0, 1, 2};
  const std::vector<ArmRuns> arms = {{&a}, {&a}};
  const auto draws = bootstrap_means(arms, {.draws = 500});
  const std::vector<double> value = {1};
  const Difference d = difference(value, value, draws[0], draws[1]);
  CHECK(d.mean == 0);
  CHECK(std::isnan(d.low));
  CHECK(std::isnan(d.p));
}

TEST_CASE("Holm's correction is that of the textbook") {
  CHECK(holm(std::vector<double>{}).empty());
  CHECK(holm(std::vector<double>{0.03}) == std::vector<double>{0.03});
  const auto four = holm(std::vector<double>{0.01, 0.04, 0.03, 0.005});  // ascending: 4 x 0.005, 3 x 0.01, 2 x 0.03, 0.04 -> 0.06
  CHECK(four[0] == Approx(0.03));
  CHECK(four[1] == Approx(0.06));
  CHECK(four[2] == Approx(0.06));
  CHECK(four[3] == Approx(0.02));
  const auto unknown = holm(std::vector<double>{0.02, std::nan(""), 0.9});
  CHECK(unknown[0] == Approx(0.06));
  CHECK(unknown[1] == 1);
  CHECK(unknown[2] == 1);
}

TEST_CASE("a gap is closed only where there is one") {
  CHECK(*closed_gap(0.045, {.mean = 0.05, .low = 0.04, .high = 0.06, .p = 0.001}) == Approx(0.9));
  CHECK(*closed_gap(-0.01, {.mean = 0.05, .low = 0.04, .high = 0.06, .p = 0.001}) == Approx(-0.2));
  CHECK_FALSE(closed_gap(0.045, {.mean = 0.0005, .low = -0.001, .high = 0.002, .p = 0.5}));
  CHECK_FALSE(closed_gap(0.045, {.mean = -0.05, .low = -0.06, .high = -0.04, .p = 0.001}));
  CHECK_FALSE(closed_gap(0.045, {.mean = 1e-16, .low = 1e-16, .high = 1e-16, .p = 0.001}));
  CHECK_FALSE(closed_gap(0.045, {.mean = 0.05, .low = std::nan(""), .high = std::nan(""), .p = std::nan("")}));
}
