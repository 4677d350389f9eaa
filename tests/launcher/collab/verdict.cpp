#include <catch2/catch.hpp>
#include <cmath>

#include <chorale/launcher/collab/study_verdict.hpp>

using namespace chorale;

namespace {

const Difference kAbove = {.mean = 0.05, .low = 0.04, .high = 0.06, .p = 0.001};
const Difference kNarrow = {.mean = 0.002, .low = 0.0005, .high = 0.004, .p = 0.01};
const Difference kWithin = {.mean = 0.001, .low = -0.002, .high = 0.004, .p = 0.6};
const Difference kBelow = {.mean = -0.02, .low = -0.03, .high = -0.01, .p = 0.001};

VerdictCase a_case() {
  return {.task = "income",
          .metric = "auc",
          .collab = 0.8544,
          .matched = 0.8055,
          .over_matched = kAbove,
          .over_shuffled = kAbove,
          .over_untrained = kNarrow,
          .p_holm = 0.03,
          .tasks = 3};
}

}  // namespace

TEST_CASE("a gain beats matched, shuffled and untrained, and says by how much") {
  const VerdictCase c = a_case();
  CHECK(largest_p(c) == 0.01);
  CHECK(judge(c) == Verdict::gain);
  CHECK(sentence(c) ==
        "gain: collab has auc 0.8544 on income, matched 0.8055; it is better than matched by 0.0500 (95 % interval 0.0400 to 0.0600), "
        "better than shuffled by 0.0500 (95 % interval 0.0400 to 0.0600) and better than untrained by 0.0020 (95 % interval 0.0005 to "
        "0.0040); p = 0.0300 after Holm's correction over 3 tasks.");
}

TEST_CASE("no gain is shown where any one of the three is not beaten") {
  for (auto arm : {&VerdictCase::over_matched, &VerdictCase::over_shuffled, &VerdictCase::over_untrained}) {
    VerdictCase c = a_case();
    c.*arm = kWithin;
    CHECK(judge(c) == Verdict::none);
    CHECK_THAT(sentence(c), Catch::StartsWith("no gain shown: ") && Catch::Contains("does not lie above 0"));
  }
  VerdictCase c = a_case();
  c.over_untrained = kBelow;  // worse than a control, yet not than the model alone: no harm, and no gain
  CHECK(judge(c) == Verdict::none);
  CHECK_THAT(sentence(c), Catch::Contains("worse than untrained by 0.0200 (95 % interval 0.0100 to 0.0300)"));
}

TEST_CASE("where no strategy asks for ids a gain needs no shuffled ones, and the sentence says so") {
  VerdictCase c = a_case();
  c.over_shuffled = {};
  CHECK(judge(c) == Verdict::unknown);
  c.no_shuffled = "nobody asks for an id";
  CHECK(judge(c) == Verdict::gain);
  CHECK(largest_p(c) == 0.01);
  CHECK_THAT(sentence(c), Catch::EndsWith("over 3 tasks; no shuffled ids: nobody asks for an id."));
  c.over_untrained = {};
  CHECK(judge(c) == Verdict::unknown);
}

TEST_CASE("intervals above 0 are not enough where Holm's correction takes p to 0.05") {
  VerdictCase c = a_case();
  c.p_holm = 0.05;
  CHECK(judge(c) == Verdict::none);
  CHECK_THAT(sentence(c),
             Catch::Contains("all intervals lie above 0, but p = 0.0500 after Holm's correction over 3 tasks is not below 0.05"));
}

TEST_CASE("harm is below matched, and needs no other arm to be said") {
  VerdictCase c = a_case();
  c.over_matched = kBelow;
  CHECK(judge(c) == Verdict::harm);
  c.over_shuffled.reset();
  c.over_untrained.reset();
  CHECK(judge(c) == Verdict::harm);
  CHECK(sentence(c) ==
        "harm: collab has auc 0.8544 on income, matched 0.8055; it is worse than matched by 0.0200 (95 % interval 0.0100 to 0.0300).");
}

TEST_CASE("equal arms are called equal") {
  VerdictCase c = a_case();
  c.over_shuffled = Difference{};
  CHECK_THAT(sentence(c), Catch::Contains("equal to shuffled (95 % interval 0.0000 to 0.0000)"));
}

TEST_CASE("without an arm nothing can be claimed, and the sentence says which") {
  VerdictCase c = a_case();
  c.over_shuffled.reset();
  CHECK(std::isnan(largest_p(c)));
  CHECK(judge(c) == Verdict::unknown);
  CHECK_THAT(sentence(c), Catch::StartsWith("nothing can be claimed: the arm shuffled was not run, and without it"));
  c.over_untrained.reset();
  CHECK_THAT(sentence(c), Catch::StartsWith("nothing can be claimed: the arms shuffled and untrained were not run, and without them"));
  c.over_matched.reset();
  CHECK_THAT(sentence(c), Catch::Contains("matched, shuffled and untrained were not run") && !Catch::Contains("0.8055"));
}

TEST_CASE("an interval that cannot be computed claims nothing") {
  VerdictCase c = a_case();
  c.over_untrained = {.mean = 0.1, .low = std::nan(""), .high = std::nan(""), .p = std::nan("")};
  CHECK(std::isnan(largest_p(c)));
  CHECK(judge(c) == Verdict::none);
  CHECK_THAT(sentence(c), Catch::Contains("no interval") && Catch::Contains("against untrained does not lie above 0"));
}
