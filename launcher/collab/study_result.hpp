// What one run of a study leaves: which run it was and how each task scored its test rows. It waits in a file, so that a study that was cut
// off goes on where it stopped.
#pragma once
#include <compare>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace chorale {

/// Training labels of the target task where none are cut.
inline constexpr std::int64_t kAllLabels = -1;

/// One run of the plan. Runs of one seed, whatever their arm, are a pair: same rows, same start.
struct StudyKey {
  std::int64_t labels = kAllLabels;
  std::int64_t every = 0;  // steps of the fastest task between ticks
  std::int64_t width = 0;  // values of a shared vector
  std::string arm = {};    // "collab", "matched": lower-case letters, digits and _
  std::uint64_t seed = 0;
  auto operator<=>(const StudyKey&) const = default;
};

/// A task's metric on its test part, and the rows behind it: N test rows in the order of the data, the same for every arm of a seed.
struct TaskScores {
  std::string task = {}, metric = {};
  bool higher_is_better = false;
  double value = 0;  // as the run reported it
  std::int64_t training_labels = 0, validation_labels = 0;
  std::int64_t peers_trained_on = -1;   // entities of the test part that a peer trained on with labels; -1: not counted
  std::vector<double> prediction = {};  // [N] auc: score of the positive class; else the metric's value over this row alone (rmse: |error|)
  std::vector<double> target = {};      // [N] auc: 1 positive, 0 negative; else as the data say
  std::vector<double> weight = {};      // [N], empty: all 1
  std::vector<std::uint64_t> entity = {};  // [N] rows of one entity are drawn together; the true one, also where the arm shuffles ids
  bool operator==(const TaskScores&) const = default;
};

struct StudyResult {
  StudyKey key;
  std::string recipe;  // hash of what the run was made from, see load_result
  std::vector<TaskScores> tasks;
  double bytes_per_step_per_rank = 0;  // of sharing, its sweep included
  double step_ms = 0;                  // mean over the run, ticks included
  std::vector<double> affinity = {};   // [tasks, tasks] row by row, empty: not measured
  bool operator==(const StudyResult&) const = default;
};

/// "labels-all_every-50_width-8_collab_seed-3.result". Throws UsageError for an arm that cannot be part of a file's name.
std::string file_name(const StudyKey& key);

/// Into folder / file_name(key), as a whole or not at all. Throws IoError; InternalError where arrays of a task differ in length.
void save_result(const std::filesystem::path& folder, const StudyResult& result);

/// Reads what save_result wrote. Throws IoError when there is no such file; CheckpointError when it is damaged, cut short or another run's;
/// UsageError when the run was made from something else than `recipe`.
StudyResult load_result(const std::filesystem::path& folder, const StudyKey& key, const std::string& recipe);

}  // namespace chorale
