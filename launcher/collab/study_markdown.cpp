// study.md.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <chorale/launcher/collab/study_report.hpp>
#include <chorale/launcher/printable.hpp>

namespace chorale {

namespace {

std::string number(double value) { return std::isfinite(value) ? fmt::format("{:.4f}", value) : "unknown"; }
std::string signed_number(double value) { return std::isfinite(value) ? fmt::format("{:+.4f}", value) : "unknown"; }
std::string p_text(double p) { return !std::isfinite(p) ? "unknown" : p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p); }

std::string range(const Difference& d) {
  return std::isfinite(d.low) && std::isfinite(d.high) ? fmt::format("{:+.4f} to {:+.4f}", d.low, d.high) : "unknown";
}

std::string of_labels(std::int64_t labels) {
  return labels == kAllLabels ? "all training labels" : fmt::format("{} training labels", labels);
}

std::string row(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const std::string& cell : cells) out += " " + cell + " |";
  return out + "\n";
}

/// The first column to the left, numbers to the right.
std::string head(const std::vector<std::string>& names) {
  std::string rule = "|---|";
  for (std::size_t i = 1; i < names.size(); ++i) rule += "---:|";
  return row(names) + rule + "\n";
}

/// Resampling two or three seeds shows hardly any of their noise, and one none.
std::string few_seeds(const Study& study) {
  constexpr std::size_t kEnough = 10;
  std::size_t fewest = kEnough;
  for (const StudyCell& cell : study.base.cells) fewest = std::min(fewest, cell.seeds.size());
  if (fewest == kEnough) return "";
  return fmt::format("**Only {}**: the intervals are too narrow, for so few show little of the noise of training. Use {} or more.\n\n",
                     fewest == 1 ? "one seed" : fmt::format("{} seeds", fewest), kEnough);
}

std::string left_out(const Study& study) {
  std::string out;
  for (const auto& [arm, why] : study.info.left_out) out += fmt::format("Left out: {}, for {}.\n\n", arm, why);
  return out;
}

std::string verdicts(const Study& study) {
  std::string out = "## What was shown\n\n";
  for (const StudyCell& cell : study.base.cells) {
    if (study.base.cells.size() > 1) out += fmt::format("With {}:\n\n", of_labels(cell.labels));
    for (const StudyTask& task : cell.tasks) {
      out += fmt::format("- **{}**: {}", task.name, sentence(task.asked));
      if (task.closed_gap) out += fmt::format(" Sharing closes {:.0f} % of the gap between matched and pooled.", 100 * *task.closed_gap);
      out += "\n";
    }
    if (cell.tasks.size() > 1 && !cell.worst_task.empty()) out += fmt::format("\nThe worst task is {}.\n", cell.worst_task);
    out += "\n";
  }
  const char* rivals = study.info.no_shuffled.empty() ? "matched, shuffled and untrained" : "matched and untrained";
  return out + left_out(study) + few_seeds(study) +
         fmt::format(
             "A gain is claimed only where collab beats {}, each with its 95 % interval above 0 and p below 0.05 after Holm's\n"
             "correction over tasks; harm where its interval against matched lies below 0.\n\n",
             rivals);
}

std::string task_table(const StudyTask& task) {
  std::string out = fmt::format("**{}**: {}, {} is better. Labels: {} for training, {} for validation. Test part: {} rows of {} entities",
                                task.name, task.metric, task.higher_is_better ? "more" : "less", task.training_labels,
                                task.validation_labels, task.test_rows, task.test_entities);
  if (task.peers_trained_on >= 0) out += fmt::format(", of which peers trained on {} with their labels", task.peers_trained_on);
  out += ".\n\n" + head({"arm", "mean", "sd over seeds", "collab minus arm", "95 % interval", "p", "p (Holm)"});
  for (const ArmScores& arm : task.arms) {
    const Versus* v = task.against(arm.arm);
    const std::string sd = std::isfinite(arm.sd) ? number(arm.sd) : "";
    out += v ? row({arm.arm, number(arm.mean), sd, signed_number(v->minus.mean), range(v->minus), p_text(v->minus.p), p_text(v->p_holm)})
             : row({arm.arm, number(arm.mean), sd, "", "", "", ""});
  }
  return out + "\n";
}

std::string cell_tables(const StudyCell& cell) {
  std::string out =
      fmt::format("### With {}, {} {}\n\n", of_labels(cell.labels), cell.seeds.size(), cell.seeds.size() == 1 ? "seed" : "seeds");
  for (const StudyTask& task : cell.tasks) out += task_table(task);
  if (cell.mean_of_tasks.empty() || cell.tasks.size() < 2) return out;
  out += fmt::format("Mean over the {} tasks:", cell.tasks.size());
  for (std::size_t i = 0; i < cell.mean_of_tasks.size(); ++i)
    out += fmt::format("{} {} {}", i == 0 ? "" : ",", cell.mean_of_tasks[i].first, number(cell.mean_of_tasks[i].second));
  return out + ".\n\n";
}

std::string cost_cells(const StudyPart& part) {
  return fmt::format(
      "{} bytes a step and rank{}", part.bytes_per_step_per_rank ? fmt::format("{:.0f}", *part.bytes_per_step_per_rank) : "unknown",
      part.overhead
          ? fmt::format("; a step takes {:.1f} % {} time than alone", 100 * std::abs(*part.overhead), *part.overhead < 0 ? "less" : "more")
          : "");
}

std::string sweep_table(const char* name, const char* meaning, const std::map<std::int64_t, StudyPart>& sweep) {
  if (sweep.empty()) return "";
  std::string out = fmt::format("## Over `{}`: {}\n\n", name, meaning);
  out +=
      head({name, "labels", "task", "metric", "collab", "sd over seeds", "collab minus matched", "95 % interval", "bytes a step and rank"});
  for (const auto& [value, part] : sweep)
    for (const StudyCell& cell : part.cells)
      for (const StudyTask& task : cell.tasks) {
        const ArmScores* collab = task.arm("collab");
        const Versus* v = task.against("matched");
        if (!collab) continue;
        out += row({std::to_string(value), labels_text(cell.labels), task.name, task.metric, number(collab->mean),
                    std::isfinite(collab->sd) ? number(collab->sd) : "", v ? signed_number(v->minus.mean) : "", v ? range(v->minus) : "",
                    part.bytes_per_step_per_rank ? fmt::format("{:.0f}", *part.bytes_per_step_per_rank) : ""});
      }
  return out + "\n";
}

std::string affinity_table(const Study& study) {
  if (study.affinity.empty()) return "";
  std::vector<std::string> names = {"task"};
  names.insert(names.end(), study.tasks.begin(), study.tasks.end());
  std::string out = "## How alike the tasks' representations are (linear CKA, 1: the same)\n\n" + head(names);
  for (std::size_t i = 0; i < study.tasks.size(); ++i) {
    std::vector<std::string> cells = {study.tasks[i]};
    for (std::size_t j = 0; j < study.tasks.size(); ++j) {
      const double value = study.affinity[i * study.tasks.size() + j];
      cells.push_back(value < 0 ? "-" : fmt::format("{:.3f}", value));  // - where tasks have next to nothing in common
    }
    out += row(cells);
  }
  return out + "\n";
}

std::string legend(const Study& study) {
  std::vector<std::string> arms;
  for (const StudyCell& cell : study.base.cells)
    for (const StudyTask& task : cell.tasks)
      for (const ArmScores& arm : task.arms)
        if (std::find(arms.begin(), arms.end(), arm.arm) == arms.end()) arms.push_back(arm.arm);
  std::stable_sort(arms.begin(), arms.end(), [](const std::string& a, const std::string& b) { return arm_place(a) < arm_place(b); });
  std::string out = "## The arms\n\n";
  for (const std::string& arm : arms)
    out += arm_meaning(arm).empty() ? fmt::format("- {}\n", arm) : fmt::format("- {}: {}\n", arm, arm_meaning(arm));
  return out;
}

}  // namespace

std::string study_markdown(const Study& study) {
  std::string out = fmt::format("# Collaborative study of {}\n\n", study.info.subject);
  if (!study.info.command.empty()) out += fmt::format("    {}\n\n", study.info.command);
  out += verdicts(study) + "## Scores\n\n";
  for (const StudyCell& cell : study.base.cells) out += cell_tables(cell);
  out += fmt::format(
      "All arms of a seed make equal steps on the same rows. Intervals and p come from a paired bootstrap over seeds and test entities, "
      "{} draws.\nA tick comes every {} steps, a shared vector has {} values.\n\n",
      study.info.bootstrap.draws, study.info.every, study.info.width);
  out += fmt::format("What sharing costs: {}.\n\n", cost_cells(study.base));
  out += sweep_table("every", "steps between ticks", study.every) + sweep_table("width", "values of a shared vector", study.width);
  return printable(out + affinity_table(study) + legend(study));
}

}  // namespace chorale
