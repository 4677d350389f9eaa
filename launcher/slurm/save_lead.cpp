#include <chorale/launcher/slurm/save_lead.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/text_lines.hpp>
#include <chorale/launcher/run_status.hpp>
#include <chorale/launcher/slurm/time_limit.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSlurmEarly = 60, kLeast = 60;
constexpr double kLeaving = 30;

constexpr double kMostSeconds = 65535;  // Slurm's most of a lead; whoever shares the folder may have written any number

struct Cost {
  double save = 0, evaluation = 0, step = 0;  // seconds, the longest seen
  bool has_saved = false;
};

/// Lines that are cut or foreign say nothing.
void add_costs(const fs::path& run, Cost& cost) {
  TextLines in(run / "metrics.jsonl");
  for (std::string line; in.next(line);) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (!j.is_object() || !j.contains("event")) continue;
    const auto seconds = [&](const char* key, double unit) {
      return j.contains(key) && j[key].is_number() ? std::clamp(j[key].get<double>() * unit, 0.0, kMostSeconds) : 0.0;
    };
    if (j["event"] == "checkpoint")
      cost.has_saved = true, cost.save = std::max(cost.save, seconds("pause_ms", 1e-3) + seconds("write_ms", 1e-3));
    if (j["event"] == "evaluation") cost.evaluation = std::max(cost.evaluation, seconds("seconds", 1));
    if (j["event"] == "step") cost.step = std::max(cost.step, seconds("step_ms", 1e-3));
  }
}

/// Of the slowest of an array's runs: they save by one signal. Empty when nothing was saved.
std::optional<Cost> cost_in(const fs::path& run) {
  Cost cost;
  add_costs(run, cost);
  for (const fs::path& seed : array_runs(run)) add_costs(seed, cost);
  return cost.has_saved ? std::optional(cost) : std::nullopt;
}

bool has_control_characters(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; });
}

/// Newest first, by name: the stamp of a run directory sorts. A name that cannot stand in a line of the script is nobody's run.
std::vector<fs::path> runs_beside(const fs::path& run, const std::string& name) {
  std::vector<fs::path> out;
  std::error_code failed;
  const fs::path folder = run.has_parent_path() ? run.parent_path() : fs::path(".");
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string beside = it->path().filename().string();
    if (beside.starts_with(name + "-") && !has_control_characters(beside) && it->path() != run) out.push_back(it->path());
  }
  std::sort(out.rbegin(), out.rend());
  return out;
}

}  // namespace

SaveLead save_lead(const fs::path& run, const std::string& recipe_name) {
  std::vector<fs::path> candidates = runs_beside(run, recipe_name);
  candidates.insert(candidates.begin(), run);
  for (const fs::path& each : candidates) {
    const std::optional<Cost> cost = cost_in(each);
    if (!cost) continue;
    SaveLead lead;
    const double work = std::ceil(3 * cost->save + cost->evaluation + 2 * cost->step);
    lead.seconds = std::max(kLeast, static_cast<std::int64_t>(std::min(kLeaving + work, kMostSeconds)));
    lead.reason = fmt::format("a save took {:.2f} s, an evaluation {:.2f} s in {}", cost->save, cost->evaluation, each.string());
    return lead;
  }
  return {.seconds = 180, .reason = "no earlier run has measured a save"};
}

void check_time_limit(std::int64_t limit_seconds, const SaveLead& lead) {
  const std::int64_t least = lead.seconds + 2 * kSlurmEarly;
  if (limit_seconds >= least) return;
  throw UsageError(
      fmt::format("--time {} is refused: the run is told to save {} s before its limit ({}), Slurm may do so up to {} s "
                  "early, and there would be no time to train; give at least {}",
                  time_limit_text(limit_seconds), lead.seconds, lead.reason, kSlurmEarly, time_limit_text(least)));
}

}  // namespace chorale
