#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/study_report.hpp>
#include <chorale/tests/launcher/collab/made_study.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>
#include <chorale/tests/skip.hpp>

using namespace chorale;
using namespace chorale::tests;

namespace {

const Leads kLeads = {{"alone", 1.0}, {"matched", 1.01}, {"collab", 1.6}, {"shuffled", 1.0}, {"untrained", 1.3}, {"pooled", 1.7}};

struct Made {
  Leads leads = kLeads;
  std::vector<std::int64_t> labels = {kAllLabels}, every = {50};
  std::uint64_t seeds = 4;
};

/// income by AUC gains what the arm leads; spend by mae loses it.
std::vector<StudyResult> results_of(const Made& made) {
  std::vector<StudyResult> out;
  for (const std::int64_t labels : made.labels)
    for (const std::int64_t every : made.every)
      for (const auto& [arm, lead] : made.leads)
        for (std::uint64_t seed = 1; seed <= made.seeds; ++seed)
          out.push_back(made_run({.labels = labels, .every = every, .width = 8, .arm = arm, .seed = seed},
                                 {made_auc("income", lead, seed, 400), made_mae("spend", -lead, seed, 100)}));
  return out;
}

StudyInfo info() { return {.subject = "adult.ini", .every = 50, .width = 8, .bootstrap = {.draws = 400, .seed = 1}}; }

Study study_of(const Made& made) { return summarise(info(), results_of(made)); }

nlohmann::json json_of(const Study& study) { return nlohmann::json::parse(study_json(study)); }

}  // namespace

TEST_CASE("study.json has the names that scripts read") {
  const auto json = json_of(study_of({}));
  const auto& all = json.at("labels").at("all");
  const auto& income = all.at("arms").at("collab").at("tasks").at("income");
  CHECK(income.at("metric_name") == "auc");
  CHECK(income.at("metric").at("values").size() == 4);
  const std::vector<double> values = income.at("metric").at("values");
  CHECK(income.at("metric").at("mean") == Approx((values[0] + values[1] + values[2] + values[3]) / 4));
  CHECK(income.at("metric").at("sd") > 0);
  const auto& versus = all.at("versus").at("matched").at("income");
  CHECK(versus.at("mean") ==
        Approx(income["metric"]["mean"].get<double>() - all["arms"]["matched"]["tasks"]["income"]["metric"]["mean"].get<double>()));
  CHECK(versus.at("low") > 0);
  CHECK(versus.at("high") > versus.at("mean"));
  CHECK(versus.at("p") <= versus.at("p_holm"));
  CHECK_FALSE(all.at("versus").contains("collab"));
  CHECK(all.at("closed_gap").at("income") > 0.5);
  CHECK_THAT(all.at("verdict").at("income").get<std::string>(), Catch::StartsWith("gain: "));
  CHECK_THAT(all.at("verdict").at("spend").get<std::string>(), Catch::StartsWith("harm: "));
  CHECK(all.at("closed_gap").at("spend").is_null());  // pooled is worse: there is no gap to close
  CHECK(all.at("worst_task") == "spend");
  CHECK(all.at("tasks").at("income").at("training_labels") == 700);
  CHECK(all.at("tasks").at("spend").at("validation_labels") == 90);
  CHECK(all.at("tasks").at("spend").at("test_entities") == 50);
  CHECK(all.at("mean_of_tasks").empty());  // AUC and mae have no mean
  CHECK(json.at("bytes_per_step_per_rank") == Approx(512));
  CHECK(json.at("overhead") == Approx(0.1));
  CHECK(json.at("affinity").at("matrix")[1][0] == Approx(0.25));
  CHECK_FALSE(json.contains("every"));
  CHECK_FALSE(json.contains("width"));
}

TEST_CASE("differences are collab minus the arm, also where less is better; only the verdict turns them round") {
  const Study study = study_of({});
  const StudyTask& spend = study.base.cells[0].tasks[1];
  CHECK(spend.against("matched")->minus.mean > 0);  // a larger error
  CHECK(spend.gain_over("matched") == -spend.against("matched")->minus.mean);
  CHECK(judge(spend.asked) == Verdict::harm);
}

TEST_CASE("labels are in order with all of them last, and the runs of each are told apart") {
  const Study study = study_of({.labels = {kAllLabels, 1000, 100}, .seeds = 2});
  const auto json = json_of(study);
  CHECK(json.at("labels").size() == 3);
  CHECK(study.base.cells[0].labels == 100);
  CHECK(study.base.cells[2].labels == kAllLabels);
  CHECK(json.at("labels").at("100").at("seeds") == std::vector<int>{1, 2});
}

TEST_CASE("a sweep has all values with the same names below, and takes arms without sharing from the base") {
  std::vector<StudyResult> results = results_of({.seeds = 3});
  for (const std::int64_t every : {10, 250})
    for (const char* arm : {"collab", "shuffled"})
      for (std::uint64_t seed = 1; seed <= 3; ++seed)
        results.push_back(made_run({.labels = kAllLabels, .every = every, .width = 8, .arm = arm, .seed = seed},
                                   {made_auc("income", 1.5, seed, 400), made_mae("spend", -1.5, seed, 100)}));
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    results.push_back(made_run({.labels = kAllLabels, .every = 50, .width = 2, .arm = "collab", .seed = seed},
                               {made_auc("income", 1.2, seed, 400), made_mae("spend", -1.2, seed, 100)}));
  const auto json = json_of(summarise(info(), results));
  CHECK(json.at("every").size() == 3);
  CHECK(json.at("every").at("50").at("labels") == json.at("labels"));
  const auto& slow = json.at("every").at("250").at("labels").at("all");
  CHECK(slow.at("versus").at("matched").at("income").at("mean") > 0);
  CHECK(slow.at("versus").contains("shuffled"));
  // Vectors of an untrained peer depend on the ticks: those of the base are no control of this run.
  CHECK_FALSE(slow.at("versus").contains("untrained"));
  CHECK_THAT(slow.at("verdict").at("income").get<std::string>(),
             Catch::StartsWith("nothing can be claimed: the arm untrained was not run"));
  const auto& narrow = json.at("width").at("2");
  CHECK(narrow.at("bytes_per_step_per_rank") == Approx(128));
  CHECK(narrow.at("labels").at("all").at("versus").contains("alone"));
  CHECK_FALSE(narrow.at("labels").at("all").at("versus").contains("matched"));  // its parameters follow the width
  CHECK(json.at("width").size() == 2);
}

TEST_CASE("without matched and its controls the scores are reported and nothing is claimed") {
  const auto json = json_of(study_of({.leads = {{"alone", 1.0}, {"collab", 1.6}}}));
  const auto& all = json.at("labels").at("all");
  CHECK_THAT(all.at("verdict").at("income").get<std::string>(),
             Catch::StartsWith("nothing can be claimed: the arms matched, shuffled and untrained were not run"));
  CHECK(all.at("closed_gap").at("income").is_null());
  CHECK(all.at("worst_task").is_null());
  const auto alone = json_of(study_of({.leads = {{"alone", 1.0}}}));
  CHECK(alone.at("labels").at("all").at("versus").empty());
  CHECK(alone.at("overhead").is_null());
  CHECK(alone.at("bytes_per_step_per_rank").is_null());
}

TEST_CASE("tasks of one metric have a mean, and Holm's correction is over them") {
  std::vector<StudyResult> results;
  for (const auto& [arm, lead] : kLeads)
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
      results.push_back(made_run({.labels = 100, .every = 50, .width = 8, .arm = arm, .seed = seed},
                                 {made_auc("income", lead, seed, 400), made_auc("college", 1, seed, 400)}));
  const Study study = summarise(info(), results);
  const StudyCell& cell = study.base.cells[0];
  CHECK(cell.worst_task == "college");
  const auto json = json_of(study);
  const auto& at = json.at("labels").at("100");
  CHECK(at.at("mean_of_tasks").at("collab") == Approx((cell.tasks[0].arm("collab")->mean + cell.tasks[1].arm("collab")->mean) / 2));
  CHECK(at["versus"]["matched"]["income"]["p_holm"] == Approx(2 * at["versus"]["matched"]["income"]["p"].get<double>()));
  CHECK(cell.tasks[0].asked.tasks == 2);
  CHECK(at["versus"]["matched"]["college"]["mean"] == 0);  // equal arms
  CHECK_THAT(at.at("verdict").at("college").get<std::string>(), Catch::StartsWith("no gain shown: "));
}

TEST_CASE("a seed that an arm lacks, and a score that its rows do not give, are refused") {
  std::vector<StudyResult> results = results_of({});
  std::erase_if(results, [](const StudyResult& r) { return r.key.arm == "shuffled" && r.key.seed == 2; });
  CHECK_THROWS_WITH(summarise(info(), results), Catch::Contains("arm shuffled has no run of seed 2"));
  results = results_of({});
  results[5].tasks[0].value += 0.001;
  CHECK_THROWS_WITH(summarise(info(), results), Catch::Contains("task income reports auc"));
}

TEST_CASE("one seed has no standard deviation, and a score that is no number is unknown") {
  std::vector<StudyResult> results = results_of({.seeds = 1});
  for (StudyResult& run : results)
    if (run.key.arm == "untrained") run.tasks[0].value = run.tasks[0].prediction[0] = std::nan("");
  const Study study = summarise(info(), results);
  const auto json = json_of(study);
  const auto& all = json.at("labels").at("all");
  CHECK(all["arms"]["collab"]["tasks"]["income"]["metric"]["sd"].is_null());
  CHECK(all["arms"]["untrained"]["tasks"]["income"]["metric"]["mean"].is_null());
  CHECK(all["versus"]["untrained"]["income"]["low"].is_null());
  CHECK_THAT(all["verdict"]["income"].get<std::string>(), Catch::StartsWith("no gain shown: ") && !Catch::Contains("nan"));
  CHECK_THAT(study_markdown(study), !Catch::Contains("nan") && Catch::Contains("unknown"));
}

TEST_CASE("study.md says first what was shown, then by how much, then what it cost") {
  const std::string text = study_markdown(study_of({.labels = {100, kAllLabels}}));
  const auto shown = text.find("- **income**: gain: collab has auc"), scores = text.find("| matched | 0."),
             cost = text.find("What sharing costs: 512 bytes a step and rank; a step takes 10.0 % more time than alone");
  CHECK(shown < scores);
  CHECK(scores < cost);
  CHECK(cost != std::string::npos);
  CHECK_THAT(text, Catch::Contains("With 100 training labels:") && Catch::Contains("### With all training labels, 4 seeds") &&
                       Catch::Contains("mae, less is better") && Catch::Contains("| income | 1.000 | 0.250 |") &&
                       Catch::Contains("- untrained: collab with peers that learnt nothing") && Catch::Contains("**Only 4 seeds**"));
  CHECK_THAT(study_markdown(study_of({.leads = {{"collab", 1.6}}, .seeds = 10})), !Catch::Contains("**Only"));
}

TEST_CASE("study.svg shows every task and arm, and everything is written at once") {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) CHORALE_SKIP("gnuplot is not installed");
  for (const Made& made : {Made{}, Made{.labels = {100, kAllLabels}, .every = {10, 50}, .seeds = 2}}) {
    const Folder folder;
    Study study = study_of(made);
    study.info.subject = "it's";
    REQUIRE(write_study(folder.path, study));
    CHECK(folder.read("study.json") == study_json(study));
    CHECK(folder.read("study.md") == study_markdown(study));
    const std::string svg = folder.read("study.svg");
    for (const auto& [arm, lead] : made.leads) CHECK_THAT(svg, Catch::Contains(">" + arm + "<"));
    CHECK_THAT(svg, Catch::Contains("income") && Catch::Contains("spend") && Catch::Contains("mae (less is better)"));
    CHECK_THAT(svg, Catch::Contains("it&apos;s") || Catch::Contains("it's") || Catch::Contains("it&#39;s"));
    CHECK_THAT(svg, !Catch::Contains("scale(0.00)"));  // a mark of no size, which renderers refuse
    CHECK_THAT(svg, Catch::Contains("</svg>"));
    CHECK_FALSE(std::filesystem::exists(folder.path / "study.gnuplot"));
  }
}
