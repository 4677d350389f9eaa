#include <chorale/launcher/collab/study_summary.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string_view>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/study_metric.hpp>

namespace chorale {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
const std::string kCollab = "collab";

double mean_of(std::span<const double> values) {
  return values.empty() ? kNaN : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double sd_of(std::span<const double> values) {
  if (values.size() < 2) return kNaN;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

/// Runs of one arm by seed; arms by their place, then by name.
struct ArmLess {
  bool operator()(const std::string& a, const std::string& b) const { return std::pair(arm_place(a), a) < std::pair(arm_place(b), b); }
};
using SeedRuns = std::map<std::uint64_t, const StudyResult*>;
using CellRuns = std::map<std::string, SeedRuns, ArmLess>;
/// By (labels, every, width). Labels ascend, all of them last.
struct Place {
  std::uint64_t labels;  // kAllLabels is the largest as an unsigned number
  std::int64_t every, width;
  auto operator<=>(const Place&) const = default;
};
using AllRuns = std::map<Place, CellRuns>;

const TaskScores* find_task(const StudyResult& run, const std::string& task) {
  const auto found = std::find_if(run.tasks.begin(), run.tasks.end(), [&](const TaskScores& t) { return t.task == task; });
  return found == run.tasks.end() ? nullptr : &*found;
}

/// A reported score that its own rows do not give would be compared with intervals of something else.
void check_value(const StudyResult& run, const TaskScores& t) {
  const std::vector<std::uint32_t> place(t.prediction.size(), 0);
  const double again = DrawnMetric(t, place).value(std::vector<std::uint32_t>{1});
  if (std::isnan(again) && std::isnan(t.value)) return;
  // Sums in another order and outputs of f32 models differ by roundings only.
  if (std::abs(again - t.value) <= 1e-6 * std::max(1.0, std::abs(t.value)) || again == t.value) return;
  throw InternalError("[collab study] " + file_name(run.key) + ": task " + t.task + " reports " + t.metric + " " + std::to_string(t.value) +
                      ", but its rows give " + std::to_string(again));
}

/// The rows of one task in all arms that have it, seeds in equal order.
struct TaskRuns {
  std::vector<std::string> arms;
  std::vector<ArmRuns> runs;
};

TaskRuns runs_of(const CellRuns& cell, const std::vector<std::uint64_t>& seeds, const std::string& task) {
  TaskRuns out;
  for (const auto& [arm, by_seed] : cell) {
    ArmRuns runs;
    for (const std::uint64_t seed : seeds)
      if (const TaskScores* scores = find_task(*by_seed.at(seed), task)) runs.push_back(scores);
    if (runs.size() != seeds.size()) continue;
    out.arms.push_back(arm);
    out.runs.push_back(std::move(runs));
  }
  return out;
}

std::vector<double> values_of(const ArmRuns& runs) {
  std::vector<double> out;
  for (const TaskScores* run : runs) out.push_back(run->value);
  return out;
}

Difference gain(const Difference& minus, bool higher_is_better) { return higher_is_better ? minus : negated(minus); }

StudyTask head_of(const TaskScores& first) {
  const std::set<std::uint64_t> entities(first.entity.begin(), first.entity.end());
  StudyTask out;
  out.name = first.task;
  out.metric = first.metric;
  out.higher_is_better = first.higher_is_better;
  out.training_labels = first.training_labels;
  out.validation_labels = first.validation_labels;
  out.test_rows = static_cast<std::int64_t>(first.entity.size());
  out.test_entities = static_cast<std::int64_t>(entities.size());
  out.peers_trained_on = first.peers_trained_on;
  return out;
}

/// Without Holm's correction, which needs all tasks.
StudyTask summarise_task(const TaskRuns& task, const BootstrapOptions& options) {
  const auto at = [&](const char* arm) { return std::find(task.arms.begin(), task.arms.end(), arm) - task.arms.begin(); };
  const auto arms = static_cast<std::ptrdiff_t>(task.arms.size());
  const std::ptrdiff_t collab = at("collab"), pooled = at("pooled"), matched = at("matched");
  StudyTask out = head_of(*task.runs[collab < arms ? static_cast<std::size_t>(collab) : 0].front());
  const auto draws = bootstrap_means(task.runs, options);
  const auto minus = [&](std::ptrdiff_t a, std::ptrdiff_t b) {
    const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
    return difference(values_of(task.runs[i]), values_of(task.runs[j]), draws[i], draws[j]);
  };
  for (std::ptrdiff_t a = 0; a < arms; ++a) {
    const std::string& name = task.arms[static_cast<std::size_t>(a)];
    std::vector<double> values = values_of(task.runs[static_cast<std::size_t>(a)]);
    out.arms.push_back({name, mean_of(values), sd_of(values), std::move(values)});
    if (collab < arms && a != collab) out.versus.push_back({name, minus(collab, a), 1});
  }
  if (collab < arms && pooled < arms && matched < arms)
    out.closed_gap = closed_gap(out.gain_over("matched"), gain(minus(pooled, matched), out.higher_is_better));
  return out;
}

/// For each arm over the tasks that were compared with it; and for the verdict over the tasks that have all three arms.
void correct(std::vector<StudyTask>& tasks) {
  std::set<std::string> arms;
  for (const StudyTask& task : tasks)
    for (const Versus& v : task.versus) arms.insert(v.arm);
  for (const std::string& arm : arms) {
    std::vector<Versus*> asked;
    for (StudyTask& task : tasks)
      for (Versus& v : task.versus)
        if (v.arm == arm) asked.push_back(&v);
    std::vector<double> p;
    for (const Versus* v : asked) p.push_back(v->minus.p);
    const std::vector<double> corrected = holm(p);
    for (std::size_t i = 0; i < asked.size(); ++i) asked[i]->p_holm = corrected[i];
  }
}

void ask(std::vector<StudyTask>& tasks, const std::string& no_shuffled) {
  std::vector<double> p;
  std::vector<VerdictCase*> complete;
  for (StudyTask& task : tasks) {
    VerdictCase& c = task.asked;
    c.task = task.name;
    c.metric = task.metric;
    c.no_shuffled = no_shuffled;
    c.collab = task.arm(kCollab) ? task.arm(kCollab)->mean : kNaN;
    c.matched = task.arm("matched") ? task.arm("matched")->mean : kNaN;
    for (const auto& [arm, over] : {std::pair("matched", &VerdictCase::over_matched), std::pair("shuffled", &VerdictCase::over_shuffled),
                                    std::pair("untrained", &VerdictCase::over_untrained)})
      if (const Versus* v = task.against(arm)) c.*over = gain(v->minus, task.higher_is_better);
    if (!c.over_matched || !(c.over_shuffled || !no_shuffled.empty()) || !c.over_untrained) continue;
    p.push_back(largest_p(c));
    complete.push_back(&c);
  }
  const std::vector<double> corrected = holm(p);
  for (std::size_t i = 0; i < complete.size(); ++i) {
    complete[i]->p_holm = corrected[i];
    complete[i]->tasks = static_cast<std::int64_t>(complete.size());
  }
}

void rank_tasks(StudyCell& cell) {
  const bool one_metric =
      std::all_of(cell.tasks.begin(), cell.tasks.end(), [&](const StudyTask& t) { return t.metric == cell.tasks.front().metric; });
  double worst = std::numeric_limits<double>::infinity();
  for (const StudyTask& task : cell.tasks) {
    if (!task.against("matched")) continue;
    const double gained = task.gain_over("matched") / (one_metric ? 1 : std::abs(task.arm("matched")->mean));
    if (gained < worst) worst = gained, cell.worst_task = task.name;
  }
  if (!one_metric) return;
  for (const ArmScores& arm : cell.tasks.front().arms) {
    std::vector<double> means;
    for (const StudyTask& task : cell.tasks)
      if (const ArmScores* here = task.arm(arm.arm)) means.push_back(here->mean);
    if (means.size() == cell.tasks.size()) cell.mean_of_tasks.emplace_back(arm.arm, mean_of(means));
  }
}

StudyCell summarise_cell(std::int64_t labels, const CellRuns& runs, const StudyInfo& info) {
  StudyCell cell{.labels = labels, .seeds = {}, .tasks = {}, .worst_task = "", .mean_of_tasks = {}};
  const auto leading = runs.contains(kCollab) ? runs.find(kCollab) : runs.begin();
  for (const auto& [seed, run] : leading->second) cell.seeds.push_back(seed);
  std::vector<std::string> names;
  for (const auto& [arm, by_seed] : runs) {
    for (const std::uint64_t seed : cell.seeds)
      if (!by_seed.contains(seed))
        throw UsageError("[collab study] arm " + arm + " has no run of seed " + std::to_string(seed) + ", which " + leading->first +
                         " has; run the study to its end first");
    for (const TaskScores& task : by_seed.at(cell.seeds.front())->tasks)
      if (std::find(names.begin(), names.end(), task.task) == names.end()) names.push_back(task.task);
  }
  for (const std::string& name : names)
    if (const TaskRuns task = runs_of(runs, cell.seeds, name); !task.arms.empty())
      cell.tasks.push_back(summarise_task(task, info.bootstrap));
  correct(cell.tasks);
  ask(cell.tasks, info.no_shuffled);
  if (!cell.tasks.empty()) rank_tasks(cell);
  return cell;
}

/// What sharing costs, over all cells of a part.
void add_costs(StudyPart& part, std::span<const CellRuns> cells) {
  std::vector<double> bytes, overhead;
  for (const CellRuns& cell : cells) {
    if (!cell.contains(kCollab)) continue;
    for (const auto& [seed, run] : cell.at(kCollab)) {
      bytes.push_back(run->bytes_per_step_per_rank);
      const auto alone = cell.find("alone");
      if (alone == cell.end() || !alone->second.contains(seed)) continue;
      if (const double ms = alone->second.at(seed)->step_ms; ms > 0) overhead.push_back(run->step_ms / ms - 1);
    }
  }
  if (!bytes.empty()) part.bytes_per_step_per_rank = mean_of(bytes);
  if (!overhead.empty()) part.overhead = mean_of(overhead);
}

/// The arms that a sweep cannot change come from the base, where the sweep has none of its own.
constexpr std::array<std::string_view, 5> kWithoutSharing = {"alone", "pooled", "shared_bottom", "mmoe", "ple"};

StudyPart part_at(const StudyInfo& info, const AllRuns& all, std::int64_t every, std::int64_t width) {
  StudyPart part;
  std::vector<CellRuns> cells;
  for (const auto& [place, runs] : all) {
    if (place.every != every || place.width != width) continue;
    CellRuns here = runs;
    const auto base = all.find({place.labels, info.every, info.width});
    if (base != all.end())
      for (const auto& [arm, by_seed] : base->second) {
        const bool taken = std::find(kWithoutSharing.begin(), kWithoutSharing.end(), arm) != kWithoutSharing.end() ||
                           (arm == "matched" && width == info.width);
        if (taken) here.emplace(arm, by_seed);
      }
    part.cells.push_back(summarise_cell(static_cast<std::int64_t>(place.labels), here, info));
    cells.push_back(std::move(here));
  }
  add_costs(part, cells);
  return part;
}

void add_affinity(Study& study, std::span<const StudyResult> results) {
  double runs = 0;
  for (const StudyResult& r : results) {
    if (r.key.arm != kCollab || r.affinity.empty() || r.key.every != study.info.every || r.key.width != study.info.width) continue;
    std::vector<std::string> tasks;
    for (const TaskScores& task : r.tasks) tasks.push_back(task.task);
    if (study.tasks.empty()) study.tasks = tasks, study.affinity.assign(r.affinity.size(), 0);
    if (tasks != study.tasks) throw InternalError("[collab study] runs name their tasks in different orders");
    for (std::size_t i = 0; i < r.affinity.size(); ++i) study.affinity[i] += r.affinity[i];
    ++runs;
  }
  for (double& value : study.affinity) value /= runs;
}

}  // namespace

double StudyTask::gain_over(const std::string& wanted) const {
  const Versus* v = against(wanted);
  return v ? (higher_is_better ? 1 : -1) * v->minus.mean : kNaN;
}

Study summarise(const StudyInfo& info, std::span<const StudyResult> results) {
  AllRuns all;
  std::set<std::int64_t> every, width;
  for (const StudyResult& run : results) {
    for (const TaskScores& task : run.tasks) check_value(run, task);
    const StudyKey& key = run.key;
    all[{static_cast<std::uint64_t>(key.labels), key.every, key.width}][key.arm][key.seed] = &run;
    if (key.width == info.width) every.insert(key.every);
    if (key.every == info.every) width.insert(key.width);
  }
  Study study{.info = info, .base = part_at(info, all, info.every, info.width), .every = {}, .width = {}, .affinity = {}, .tasks = {}};
  if (every.size() > 1)
    for (const std::int64_t value : every) study.every[value] = value == info.every ? study.base : part_at(info, all, value, info.width);
  if (width.size() > 1)
    for (const std::int64_t value : width) study.width[value] = value == info.width ? study.base : part_at(info, all, info.every, value);
  add_affinity(study, results);
  return study;
}

}  // namespace chorale
