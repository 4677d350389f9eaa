// study.json.
#include <chorale/launcher/collab/study_report.hpp>

#include <nlohmann/json.hpp>

#include <chorale/core/io/file.hpp>

namespace chorale {

namespace {

using Json = nlohmann::ordered_json;

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json arms_json(const StudyCell& cell) {
  Json arms = Json::object();
  for (const StudyTask& task : cell.tasks)
    for (const ArmScores& arm : task.arms)
      arms[arm.arm]["tasks"][task.name] = {{"metric_name", task.metric},
                                           {"higher_is_better", task.higher_is_better},
                                           {"metric", {{"mean", arm.mean}, {"sd", arm.sd}, {"values", arm.values}}}};
  return arms;
}

Json versus_json(const StudyCell& cell) {
  Json versus = Json::object();
  for (const StudyTask& task : cell.tasks)
    for (const Versus& v : task.versus)
      versus[v.arm][task.name] = {
          {"mean", v.minus.mean}, {"low", v.minus.low}, {"high", v.minus.high}, {"p", v.minus.p}, {"p_holm", v.p_holm}};
  return versus;
}

Json cell_json(const StudyCell& cell) {
  Json out = {{"seeds", cell.seeds}, {"arms", arms_json(cell)}, {"versus", versus_json(cell)}};
  for (const char* name : {"closed_gap", "verdict", "tasks", "mean_of_tasks"}) out[name] = Json::object();
  for (const StudyTask& task : cell.tasks) {
    out["closed_gap"][task.name] = optional_json(task.closed_gap);
    out["verdict"][task.name] = sentence(task.asked);
    Json& counts = out["tasks"][task.name] = {{"training_labels", task.training_labels},
                                              {"validation_labels", task.validation_labels},
                                              {"test_rows", task.test_rows},
                                              {"test_entities", task.test_entities}};
    if (task.peers_trained_on >= 0) counts["test_entities_peers_trained_on"] = task.peers_trained_on;
  }
  for (const auto& [arm, mean] : cell.mean_of_tasks) out["mean_of_tasks"][arm] = mean;
  out["worst_task"] = cell.worst_task.empty() ? Json(nullptr) : Json(cell.worst_task);
  return out;
}

Json part_json(const StudyPart& part) {
  Json labels = Json::object();
  for (const StudyCell& cell : part.cells) labels[labels_text(cell.labels)] = cell_json(cell);
  return {{"labels", labels},
          {"bytes_per_step_per_rank", optional_json(part.bytes_per_step_per_rank)},
          {"overhead", optional_json(part.overhead)}};
}

Json sweep_json(const std::map<std::int64_t, StudyPart>& sweep) {
  Json out = Json::object();
  for (const auto& [value, part] : sweep) out[std::to_string(value)] = part_json(part);
  return out;
}

Json affinity_json(const Study& study) {
  Json matrix = Json::array();
  const std::size_t n = study.tasks.size();
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = study.affinity.begin() + static_cast<std::ptrdiff_t>(i * n);
    Json values = Json::array();
    for (std::size_t j = 0; j < n; ++j)
      values.push_back(row[static_cast<std::ptrdiff_t>(j)] < 0 ? Json() : Json(row[static_cast<std::ptrdiff_t>(j)]));
    matrix.push_back(std::move(values));
  }
  return {{"tasks", study.tasks}, {"matrix", matrix}};
}

}  // namespace

std::string labels_text(std::int64_t labels) { return labels == kAllLabels ? "all" : std::to_string(labels); }

std::string study_json(const Study& study) {
  Json all = {{"subject", study.info.subject},
              {"command", study.info.command},
              {"version", CHORALE_VERSION},
              {"base", {{"every", study.info.every}, {"width", study.info.width}}},
              {"bootstrap", {{"draws", study.info.bootstrap.draws}, {"seed", study.info.bootstrap.seed}}}};
  if (!study.info.left_out.empty()) all["left_out"] = study.info.left_out;
  all.update(part_json(study.base));
  if (!study.every.empty()) all["every"] = sweep_json(study.every);
  if (!study.width.empty()) all["width"] = sweep_json(study.width);
  if (!study.affinity.empty()) all["affinity"] = affinity_json(study);
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

bool write_study(const std::filesystem::path& folder, const Study& study) {
  write_file_atomically(folder / "study.json", study_json(study));
  write_file_atomically(folder / "study.md", study_markdown(study));
  return draw_study(folder / "study.svg", study);
}

}  // namespace chorale
