// Results of a study as a run of it would leave them, made from scores with a known lead of each arm.
#pragma once
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <chorale/core/base/random.hpp>
#include <chorale/launcher/collab/study_metric.hpp>
#include <chorale/launcher/collab/study_result.hpp>

namespace chorale::tests {

/// How far apart an arm's scores of the two classes are: 0 knows nothing, 2 a lot.
using Leads = std::map<std::string, double>;

/// AUC on `rows` test rows; the rows' luck is common to all arms and seeds.
inline TaskScores made_auc(const std::string& task, double lead, std::uint64_t seed, std::uint64_t rows) {
  TaskScores out{.task = task, .metric = "auc", .higher_is_better = true, .training_labels = 700, .validation_labels = 150};
  RandomStream luck(mix(11, task.size())), noise(mix(12, mix(seed, static_cast<std::uint64_t>(1000 * lead))));
  for (std::uint64_t i = 0; i < rows; ++i) {
    const double target = i % 3 == 0 ? 1 : 0;
    out.entity.push_back(1000 + i);
    out.target.push_back(target);
    out.prediction.push_back(lead * target + luck.normal() + 0.15 * noise.normal());
  }
  std::vector<std::uint32_t> place(rows, 0);
  out.value = DrawnMetric(out, place).value(std::vector<std::uint32_t>{1});
  return out;
}

/// Mean absolute error: the smaller the lead, the larger.
inline TaskScores made_mae(const std::string& task, double lead, std::uint64_t seed, std::uint64_t rows) {
  TaskScores out{.task = task, .metric = "mae", .higher_is_better = false, .training_labels = 400, .validation_labels = 90};
  RandomStream luck(13), noise(mix(14, mix(seed, static_cast<std::uint64_t>(1000 * lead))));
  for (std::uint64_t i = 0; i < rows; ++i) {
    out.entity.push_back(i / 2);
    out.target.push_back(0);
    out.prediction.push_back(3 - lead + std::abs(luck.normal()) + 0.1 * noise.uniform());
    out.value += out.prediction.back() / static_cast<double>(rows);
  }
  return out;
}

inline StudyResult made_run(const StudyKey& key, const std::vector<TaskScores>& tasks) {
  StudyResult out{.key = key, .recipe = "hash", .tasks = tasks};
  out.bytes_per_step_per_rank = key.arm == "collab" ? 64.0 * static_cast<double>(key.width) : 0;
  out.step_ms = key.arm == "collab" ? 1.1 : 1;
  if (key.arm == "collab") out.affinity = tasks.size() == 2 ? std::vector<double>{1, 0.25, 0.25, 1} : std::vector<double>{1};
  return out;
}

}  // namespace chorale::tests
