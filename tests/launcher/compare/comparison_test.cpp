// Runs held against each other: what is one setting, which runs are pairs, and what may be said of a difference.
#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/compare/comparison.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>

using namespace chorale;

namespace {

RunRecord run_of(const std::string& lr, int seed, double auc, double loss = 0.5) {
  return {.folder = "runs/" + lr + "-" + std::to_string(seed),
          .keys = {{"optimizer.lr", lr}, {"train.seed", std::to_string(seed)}, {"data.split_seed", "1"}, {"train.batch", "64"}},
          .status = "done",
          .data = "rows of a",
          .scores = {{"auc", auc}, {"loss", loss}, {"samples_per_second", 1e5}},
          .validation = {}};
}

const Comparison::Metric& metric(const Comparison& c, const std::string& name) {
  for (const Comparison::Metric& each : c.metrics)
    if (each.name == name) return each;
  FAIL("no metric " + name);
  throw InternalError("not reached");
}

}  // namespace

TEST_CASE("runs that differ by their seed alone are one setting, and settings are named by what differs") {
  const std::vector<RunRecord> runs = {run_of("0.01", 1, 0.8), run_of("0.1", 1, 0.7), run_of("0.01", 2, 0.9)};
  const Comparison c = compare(runs, "test");
  REQUIRE(c.settings.size() == 2);
  CHECK(c.settings[0].text == "optimizer.lr = 0.01");
  CHECK(c.settings[0].runs.size() == 2);
  CHECK(c.settings[1].text == "optimizer.lr = 0.1");
  CHECK(c.metrics.front().name == "loss");
  CHECK(c.metrics.back().name == "samples_per_second");
  CHECK(metric(c, "auc").higher_is_better);
  CHECK_FALSE(metric(c, "loss").higher_is_better);
  CHECK(metric(c, "auc").scores[0].mean == Approx(0.85));
  CHECK(metric(c, "auc").scores[0].deviation == Approx(std::sqrt(0.005)));
  CHECK_FALSE(metric(c, "auc").scores[1].against_first);  // one seed in common says nothing of the spread
  const std::vector<RunRecord> alike = {run_of("0.01", 1, 0.8), run_of("0.01", 2, 0.9)};
  CHECK(compare(alike, "test").settings[0].text == "all runs");
}

TEST_CASE("differences are those of pairs, whose common luck cancels, with Student's interval") {
  std::vector<RunRecord> runs;
  const double luck[] = {0.60, 0.75, 0.90, 0.70}, gain[] = {0.010, 0.012, 0.008, 0.010};
  for (int s = 0; s < 4; ++s) runs.push_back(run_of("0.01", s, luck[s]));
  for (int s = 3; s >= 0; --s) runs.push_back(run_of("0.1", s, luck[s] + gain[s], 0.5 + gain[s]));
  runs.push_back(run_of("0.1", 9, 0.1));  // of a seed that the first setting lacks
  const Comparison c = compare(runs, "test");
  const auto& d = metric(c, "auc").scores[1].against_first;
  REQUIRE(d);
  CHECK(d->pairs == 4);
  CHECK(d->mean == Approx(0.010));
  const double error = std::sqrt((0.002 * 0.002 + 0.002 * 0.002) / 3) / 2;  // 3.182446: 0.975 of Student's t with 3 degrees, any table
  CHECK(d->low == Approx(0.010 - 3.182446 * error).epsilon(1e-6));
  CHECK(d->high == Approx(0.010 + 3.182446 * error).epsilon(1e-6));
  const std::string text = text_of(c, false);
  CHECK_THAT(text, Catch::Contains("4 pairs): better") && Catch::Contains("4 pairs): worse"));  // auc, of which more is better; loss
  CHECK_THAT(text_of(c, true), Catch::Contains("| setting") && Catch::Contains("|---|"));
  CHECK_THAT(json_of(c), Catch::Contains("\"pairs\": 4"));
}

TEST_CASE("a file that has changed between two runs of one recipe is found out") {
  std::vector<RunRecord> runs = {run_of("1", 1, 0.8), run_of("2", 1, 0.7), run_of("1", 2, 0.8)};
  CHECK(changed_data(runs).empty());
  runs[2].data = "rows of b";
  CHECK_THAT(changed_data(runs), Catch::Contains("runs/1-1 and runs/1-2") && Catch::Contains("a file has changed"));
  runs[2].keys["data.split_seed"] = "2";  // which is why its training rows are others
  CHECK(changed_data(runs).empty());
}

TEST_CASE("equal runs show no difference") {
  const std::vector<RunRecord> runs = {run_of("1", 1, 0.8), run_of("1", 2, 0.7), run_of("2", 1, 0.8), run_of("2", 2, 0.7)};
  const auto d = metric(compare(runs, "test"), "auc").scores[1].against_first;
  REQUIRE(d);
  CHECK(d->low == 0);
  CHECK(d->high == 0);
  CHECK_THAT(text_of(compare(runs, "test"), false), Catch::Contains("no difference shown"));
}

TEST_CASE("what is no finished run is refused with a remedy") {
  const tests::Folder folder;
  CHECK_THROWS_WITH(read_run_record(folder.path, "test"), Catch::Contains("holds no run"));
  folder.write("recipe.resolved.ini", "[train]\nseed = 3\n[data]\nfile = \"a # b.csv\"\nsplit_seed = 2\n");
  CHECK_THROWS_WITH(read_run_record(folder.path, "test"), Catch::Contains("is not over") && Catch::Contains("chorale status"));
  folder.write("summary.json", "{ no json");
  CHECK_THROWS_AS(read_run_record(folder.path, "test"), DataError);
  folder.write("summary.json", R"({"status": "done", "metrics": {"test": {"auc": 0.5, "confusion": null}}, "samples_per_second": 7})");
  folder.write("metrics.jsonl", "torn\n{\"event\":\"evaluation\",\"step\":5,\"metrics\":{\"validation\":{\"auc\":0.25}}}\n");
  const RunRecord run = read_run_record(folder.path, "test");
  CHECK(run.seed() == "3/2");
  CHECK(run.keys.at("data.file") == "a # b.csv");
  CHECK(run.scores == std::map<std::string, double>{{"auc", 0.5}, {"samples_per_second", 7}});
  CHECK(run.validation.at("auc").at(5) == 0.25);
  CHECK_THROWS_WITH(read_run_record(folder.path, "train"), Catch::Contains("no scores of its train rows"));
  CHECK_THROWS_AS(compare({}, "test"), UsageError);
}
