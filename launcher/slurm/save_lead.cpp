#include <chorale/launcher/slurm/save_lead.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/slurm/time_limit.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSlurmEarly = 60, kLeaving = 30, kLeast = 60;

struct Cost {
  double save = 0, evaluation = 0, step = 0;  // seconds, the longest seen
};

/// Empty when the run has saved nothing. Lines that are cut or foreign say nothing.
std::optional<Cost> cost_in(const fs::path& run) {
  std::ifstream in(run / "metrics.jsonl");
  Cost cost;
  bool has_saved = false;
  for (std::string line; std::getline(in, line);) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (!j.is_object() || !j.contains("event")) continue;
    const auto number = [&](const char* key) { return j.contains(key) && j[key].is_number() ? j[key].get<double>() : 0.0; };
    if (j["event"] == "checkpoint") has_saved = true, cost.save = std::max(cost.save, (number("pause_ms") + number("write_ms")) / 1000);
    if (j["event"] == "evaluation") cost.evaluation = std::max(cost.evaluation, number("seconds"));
    if (j["event"] == "step") cost.step = std::max(cost.step, number("step_ms") / 1000);
  }
  return has_saved ? std::optional(cost) : std::nullopt;
}

/// Newest first, by name: the stamp of a run directory sorts.
std::vector<fs::path> runs_beside(const fs::path& run, const std::string& name) {
  std::vector<fs::path> out;
  std::error_code ignored;
  const fs::path folder = run.has_parent_path() ? run.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename().string().starts_with(name + "-") && entry.path() != run) out.push_back(entry.path());
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
    lead.seconds = std::max(kLeast, kLeaving + static_cast<std::int64_t>(std::ceil(3 * cost->save + cost->evaluation + 2 * cost->step)));
    lead.seconds = std::min<std::int64_t>(lead.seconds, 65535);  // Slurm's most
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
