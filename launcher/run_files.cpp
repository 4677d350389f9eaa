#include <chorale/launcher/run_files.hpp>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

using Json = nlohmann::ordered_json;

namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json phases_json(const Phases& p) {
  return {{"data", p.data}, {"forward", p.forward}, {"backward", p.backward}, {"communicate", p.communicate}, {"update", p.update}};
}

Json scores_json(const std::map<std::string, std::map<std::string, double>>& scores) {
  Json out = Json::object();
  for (const auto& [part, values] : scores)
    for (const auto& [name, value] : values) out[part][name] = number(value);
  return out;
}

}  // namespace

std::string summary_json(const Summary& s) {
  Json j = {{"status", s.status},
            {"world_size", s.world_size},
            {"virtual_workers", s.virtual_workers},
            {"threads_per_rank", s.threads_per_rank},
            {"parameters", s.parameters},
            {"parameters_hash", s.parameters_hash},
            {"best_parameters_hash", s.best_parameters_hash},
            {"steps", s.steps},
            {"epochs", s.epochs},
            {"samples_per_second", s.samples_per_second},
            {"step_ms", {{"p10", s.step_ms_p10}, {"p50", s.step_ms_p50}, {"p90", s.step_ms_p90}}},
            {"phases_ms", phases_json(s.phases_ms)},
            {"metrics", scores_json(s.metrics)},
            {"checkpoints",
             {{"written", s.checkpoints_written},
              {"failed", s.checkpoints_failed},
              {"pause_ms", s.checkpoint_pause_ms},
              {"write_ms", s.checkpoint_write_ms}}},
            {"seconds_total", s.seconds_total},
            {"skipped_steps", s.skipped_steps},
            {"rollbacks", s.rollbacks},
            {"version", s.version}};
  if (!s.ema_parameters_hash.empty()) j["ema_parameters_hash"] = s.ema_parameters_hash;
  return j.dump(2) + "\n";
}

std::string RunFiles::whole_summary(const Summary& summary) const {
  if (more_.empty()) return summary_json(summary);
  Json j = Json::parse(summary_json(summary));
  for (const auto& [key, json] : more_) j[key] = Json::parse(json);
  return j.dump(2) + "\n";
}

void RunFiles::line(const std::string& json) {
  if (must_be_ours_) must_be_ours_();
  std::ofstream out(folder_ / "metrics.jsonl", std::ios::app);
  out << json << "\n" << std::flush;
  if (!out && !std::exchange(warned_, true))
    log_.warning((folder_ / "metrics.jsonl").string() + ": writing failed, training goes on without");
}

void RunFiles::on_start(const RunFacts& f) {
  so_far_.world_size = f.world_size, so_far_.virtual_workers = f.virtual_workers, so_far_.threads_per_rank = f.threads_per_rank;
  so_far_.parameters = f.parameters, so_far_.steps = f.first_step, so_far_.version = CHORALE_VERSION;
  line(Json{{"event", "start"},
            {"step", f.first_step},
            {"world_size", f.world_size},
            {"virtual_workers", f.virtual_workers},
            {"batch", f.batch},
            {"steps_per_epoch", f.steps_per_epoch},
            {"total_steps", f.total_steps},
            {"parameters", f.parameters}}
           .dump());
}

void RunFiles::on_step(const StepEvent& e) {
  so_far_.steps = e.step, so_far_.epochs = e.epoch, so_far_.samples_per_second = e.samples_per_second;
  if (!e.logged) return;
  line(Json{{"event", "step"},
            {"step", e.step},
            {"epoch", e.epoch},
            {"loss", number(e.loss)},
            {"lr", e.lr},
            {"samples_per_second", e.samples_per_second},
            {"step_ms", e.step_ms},
            {"phases_ms", {{"min", phases_json(e.min_ms)}, {"mean", phases_json(e.mean_ms)}, {"max", phases_json(e.max_ms)}}}}
           .dump());
}

void RunFiles::on_evaluation(const EvaluationEvent& e) {
  line(Json{{"event", e.final ? "final" : "evaluation"},
            {"step", e.step},
            {"epoch", e.epoch},
            {"metrics", scores_json(e.scores)},
            {"best", e.best},
            {"seconds", e.seconds}}
           .dump());
}

void RunFiles::on_checkpoint(const CheckpointEvent& e) {
  Json j = {{"event", "checkpoint"},  {"step", e.step},         {"name", std::filesystem::path(e.folder).filename().string()},
            {"folder", e.folder},     {"bytes", e.bytes},       {"background", e.in_background},
            {"pause_ms", e.pause_ms}, {"write_ms", e.write_ms}, {"steps_ms", e.steps_ms}};
  if (!e.error.empty()) j["error"] = e.error;
  line(j.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void RunFiles::failed() {
  so_far_.status = "failed";
  so_far_.seconds_total = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  try {
    if (must_be_ours_) must_be_ours_();
    write_file_atomically(folder_ / "summary.json", whole_summary(so_far_));
  } catch (const Error& e) {
    log_.warning(e.what());  // the first error is what the run ends with
  }
}

void RunFiles::on_end(const Summary& summary) {
  if (must_be_ours_) must_be_ours_();
  write_file_atomically(folder_ / "summary.json", whole_summary(summary));
  draw_curves(folder_);
}

}  // namespace chorale
