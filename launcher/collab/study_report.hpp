// A study's report: study.json for scripts, study.md for people, study.svg for both.
#pragma once
#include <filesystem>
#include <string>

#include <chorale/launcher/collab/study_summary.hpp>

namespace chorale {

/// labels.N.arms.ARM.tasks.TASK.metric {mean, sd, values}, labels.N.versus.ARM.TASK {mean, low, high, p, p_holm} (collab minus ARM),
/// labels.N.closed_gap.TASK, labels.N.verdict.TASK, bytes_per_step_per_rank, overhead; the same below every.K and width.D where those were
/// swept. N is a number or "all". null: unknown.
std::string study_json(const Study& study);
/// Verdicts first, then scores and differences by task, costs, sweeps.
std::string study_markdown(const Study& study);
/// Draws `file` with gnuplot: each task's arms with their seeds, or its curves over labels; below them sweeps. Returns false when nothing
/// was drawn.
bool draw_study(const std::filesystem::path& file, const Study& study);

/// All three into `folder`. Returns false when there is no picture: gnuplot is not installed. Throws IoError.
bool write_study(const std::filesystem::path& folder, const Study& study);

/// "100" or "all", as keys and tables say it.
std::string labels_text(std::int64_t labels);

}  // namespace chorale
