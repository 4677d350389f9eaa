// Controls of strategies in lock-step: what sits in the places of a task's peers, and that nothing else of them gets through.
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include <chorale/core/base/random.hpp>
#include <chorale/launcher/collab/trial.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>

using namespace chorale;

namespace {

constexpr int kPeople = 400;

struct Row {
  int person;
  double a, b;
  bool label;
};
using Edit = std::function<void(Row&)>;

/// Task 0 sees a trait and is asked for both; task 1 sees the other, and is asked for that.
std::string table(int task, const Edit& edit) {
  std::string out = "person,a,b,y\n";
  for (int person = 0; person < kPeople; ++person) {
    RandomStream random(mix(7, static_cast<std::uint64_t>(person)));
    const double traits[] = {random.normal(), random.normal()};
    Row row{person, traits[task], traits[task] + 0.2 * random.normal(), false};
    row.label = (task == 0 ? traits[0] + 2 * traits[1] : traits[1]) + 0.3 * random.normal() > 0;
    edit(row);
    out += fmt::format("{},{:.4f},{:.4f},{}\n", row.person, row.a, row.b, static_cast<int>(row.label));
  }
  return out;
}

struct Study {
  tests::Folder folder;
  CollabRecipe recipe;
  SilentLog log;
  std::unique_ptr<CollabTrials> trials;
  /// edit: of the peer's table.
  Study(const std::string& strategy, const Edit& edit) {
    folder.write("base.ini",
                 "[data]\ntarget = y\n[model]\nlayers = linear(8) tanh linear(4) relu linear(1)\n[train]\nbatch = 24\nsteps = 200\n"
                 "metrics = auc\nevaluate_every = 100\n[optimizer]\nlr = 0.02\n");
    folder.write("two.ini", "[collab]\nevery = 10\nwidth = 2\nsplit = person 0.6 0.2 0.2\nstrategy = " + strategy +
                                "\n[task.buys]\nrecipe = base.ini\nentity = person : person\ndata.file = buys.csv\n"
                                "[task.calls]\nrecipe = base.ini\nentity = person : person\ndata.file = calls.csv\n");
    folder.write("buys.csv", table(0, [](Row&) {}));
    folder.write("calls.csv", table(1, edit));
    const std::string path = (folder.path / "two.ini").string();
    recipe.declare_tasks_of(path);
    recipe.read(path);
    recipe.resolve(path);
    trials = std::make_unique<CollabTrials>(recipe, log);
  }
  TaskScores run(const std::string& arm) { return trials->run({.every = 10, .width = 2, .arm = arm, .seed = 1}).tasks[0]; }
};

void same(Row&) {}
void other_columns(Row& row) { row.a += 0.1 * row.person, row.b = -row.b; }
void other_labels(Row& row) { row.label = row.person % 3 == 0; }

}  // namespace

TEST_CASE("matched puts copies of the task into the places of its peers, in a trunk and in a stitch") {
  for (const std::string strategy : {"trunk", "stitch"}) {
    CAPTURE(strategy);
    Study study(strategy, same), columns(strategy, other_columns), labels(strategy, other_labels);
    const TaskScores together = study.run("collab"), matched = study.run("matched"), alone = study.run("alone");
    CHECK(columns.run("collab").prediction != together.prediction);
    CHECK(labels.run("collab").prediction != together.prediction);
    CHECK(matched.prediction != together.prediction);
    CHECK(matched.prediction != alone.prediction);
    CHECK(columns.run("matched").prediction == matched.prediction);
    CHECK(labels.run("matched").prediction == matched.prediction);
    CHECK(matched.target == together.target);
    CHECK(matched.entity == together.entity);
  }
}

TEST_CASE("untrained peers of a stitch have layers as drawn: they tell of their columns, and know no labels") {
  Study study("stitch", same), columns("stitch", other_columns);
  const TaskScores untrained = study.run("untrained"), alone = study.run("alone");
  CAPTURE(untrained.value, alone.value);
  CHECK(columns.run("untrained").prediction != untrained.prediction);
  CHECK(untrained.value > alone.value + 0.02);
  const std::vector<ControlRun> runs = control_runs("untrained", {"stitch"}, 3);
  REQUIRE(runs.size() == 3);
  for (std::size_t place = 0; place < 3; ++place) {
    CHECK(runs[1].seats[place].task == place);
    CHECK(runs[1].seats[place].is_frozen == (place != 1));
    CHECK(runs[1].seats[place].has_others_labels == (place != 1));
  }
}

TEST_CASE("a stitch with the rows of others is worth no more than the task alone, and scores the same rows") {
  Study study("stitch", same);
  const TaskScores alone = study.run("alone"), together = study.run("collab"), shuffled = study.run("shuffled");
  CAPTURE(alone.value, together.value, shuffled.value);
  CHECK(together.value > alone.value + 0.1);
  CHECK(shuffled.value < alone.value + 0.03);
  CHECK(shuffled.target == alone.target);
  CHECK(shuffled.entity == alone.entity);
  CHECK(study.trials->needless("shuffled").empty());
}

TEST_CASE("peers of a trunk that is untrained have labels of other rows, and ids change nothing") {
  Study study("trunk", same);
  CHECK_THAT(study.trials->needless("shuffled"), Catch::Contains("asks for no entity's id"));
  CHECK(study.trials->needless("untrained").empty());
  CHECK(study.run("untrained").prediction != study.run("collab").prediction);
  const TrialData data(study.recipe, study.log);
  const TrialPlan plan = plan_trial(data, {.every = 10, .width = 2, .arm = "untrained", .seed = 1});
  const std::vector<ControlRun> runs = control_runs("untrained", {"trunk"}, 2);
  REQUIRE(runs.size() == 2);
  CHECK(runs[1].scored == std::vector<std::size_t>{1});
  CHECK_FALSE(runs[1].seats[1].has_others_labels);
  const TaskRows true_rows = rows_of_seat(plan, runs[1].seats[1], 1), peer_rows = rows_of_seat(plan, runs[0].seats[1], 1);
  const auto labels = [&](const TaskRows& rows, std::string_view name) {
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(rows.train->rows()));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int64_t>(i);
    const auto& fields = rows.train->fields();
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; }) - fields.begin();
    std::vector<float> out(numbers.size() * static_cast<std::size_t>(fields[static_cast<std::size_t>(field)].row_shape.elements()));
    rows.train->gather(static_cast<int>(field), numbers, out.data());
    return out;
  };
  std::vector<float> before = labels(true_rows, "target"), after = labels(peer_rows, "target");
  CHECK(before != after);
  CHECK(labels(true_rows, "x") == labels(peer_rows, "x"));
  std::sort(before.begin(), before.end()), std::sort(after.begin(), after.end());
  CHECK(before == after);
}
