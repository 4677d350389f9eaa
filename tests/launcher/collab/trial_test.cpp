// Runs of a study over tables whose rows have a time: what each arm may know.
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include <functional>

#include <chorale/core/base/random.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>
#include <chorale/launcher/collab/trial.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>

using namespace chorale;

namespace {

constexpr int kPeople = 60, kTimes = 10, kTested = 40;  // people from kTested on are never in the test part, times 8 and 9

struct Row {
  int person, time;
  double a, b;
  bool label;
};
using Edit = std::function<void(Row&)>;

std::string table(int task, int tested, const Edit& edit) {
  std::string out = "person,time,a,b,y\n";
  for (int time = 0; time < kTimes; ++time)
    for (int person = 0; person < kPeople; ++person) {
      RandomStream random(mix(static_cast<std::uint64_t>(10 * time + task), static_cast<std::uint64_t>(person)));
      Row row{person, time, random.normal(), random.normal(), false};
      row.label = row.a + 0.5 * random.normal() > 0;
      if (time >= 8 && person >= tested) continue;
      edit(row);
      out += fmt::format("{},{},{:.4f},{:.4f},{}\n", row.person, row.time, row.a, row.b, static_cast<int>(row.label));
    }
  return out;
}

/// A study of two tasks whose tables differ by `edit` from those of others.
struct Study {
  tests::Folder folder;
  CollabRecipe recipe;
  SilentLog log;
  std::unique_ptr<CollabTrials> trials;
  explicit Study(
      const Edit& edit = [](Row&) {}, int tested = kTested) {
    folder.write("base.ini",
                 "[data]\ntarget = y\n[model]\nlayers = linear(4) relu linear(1)\n[train]\nbatch = 30\nsteps = 40\nmetrics = auc\n"
                 "evaluate_every = 10\nearly_stop = validation.auc 3\n");
    folder.write("two.ini",
                 "[collab]\nevery = 4\nwidth = 2\ntime = time\nperiod = 1\nsplit = time 6 8\n"
                 "[task.buys]\nrecipe = base.ini\nentity = person : person\ndata.file = buys.csv\n"
                 "[task.calls]\nrecipe = base.ini\nentity = person : person\ndata.file = calls.csv\n");
    folder.write("buys.csv", table(0, tested, edit));
    folder.write("calls.csv", table(1, tested, edit));
    const std::string path = (folder.path / "two.ini").string();
    recipe.declare_tasks_of(path);
    recipe.read(path);
    recipe.resolve(path);
    trials = std::make_unique<CollabTrials>(recipe, log);
  }
  StudyResult run(const std::string& arm) { return trials->run({.every = 4, .width = 2, .arm = arm, .seed = 1}); }
};

/// Of the first time of the test part, to which rows of both tables belong in their order.
std::vector<double> first_scores(const StudyResult& result, std::size_t task) {
  const std::vector<double>& all = result.tasks[task].prediction;
  return {all.begin(), all.begin() + kTested};
}

}  // namespace

TEST_CASE("rows after a test row change the score of no arm but their own") {
  Study before, after([](Row&row) {
    if (row.time == 9) row.a += 3, row.b -= 3, row.label = !row.label;
  });
  for (const char* arm : {"alone", "matched", "collab", "disjoint", "shuffled", "untrained", "pooled"}) {
    CAPTURE(arm);
    const StudyResult a = before.run(arm), b = after.run(arm);
    for (std::size_t t = 0; t < 2; ++t) {
      CHECK(a.tasks[t].prediction.size() == 2 * kTested);
      CHECK(first_scores(a, t) == first_scores(b, t));
      CHECK(a.tasks[t].prediction != b.tasks[t].prediction);
    }
  }
}

TEST_CASE("under disjoint no label of an entity that another task is tested with reaches anybody") {
  Study before, after([](Row&row) {
    if (row.person < kTested && row.time < 6) row.label = !row.label;
  });
  CHECK(before.trials->disjoint_differs());
  CHECK(before.trials->hindrance("disjoint").empty());
  CHECK(before.trials->disjoint_text() == "buys 120 of 360, calls 120 of 360");
  const StudyResult a = before.run("disjoint"), b = after.run("disjoint"), all = before.run("collab"), other = after.run("collab");
  for (std::size_t t = 0; t < 2; ++t) {
    CHECK(a.tasks[t].training_labels == 120);
    CHECK(a.tasks[t].prediction == b.tasks[t].prediction);
    CHECK(all.tasks[t].prediction != other.tasks[t].prediction);
    CHECK(a.tasks[t].peers_trained_on == 0);
    CHECK(all.tasks[t].peers_trained_on == kTested);
  }
}

TEST_CASE("disjoint is left out where it would leave a task without rows") {
  const Study study([](Row&) {}, kPeople);
  CHECK_THAT(study.trials->hindrance("disjoint"), Catch::Contains("every training row of task buys is about an entity"));
  CHECK(study.trials->hindrance("collab").empty());
}
