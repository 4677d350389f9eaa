#include <chorale/launcher/collab/collab_summary.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace chorale {

using Json = nlohmann::ordered_json;

Json whole_summary(const std::vector<Json>& ranks, const std::vector<std::string>& names, const std::vector<int>& task_of) {
  Json out = {{"status", ""}, {"world_size", ranks.size()}, {"ticks", 0}};
  double bytes = 0, sharing = 0, sweeps = 0, waiting = 0, total = 0;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const Json& one = ranks[r];
    bytes += one.at("sharing_bytes").get<double>() / std::max(1.0, one.at("steps").get<double>());
    sharing += one.at("sharing_seconds").get<double>(), sweeps += one.at("sweep_seconds").get<double>();
    waiting += one.at("waiting_seconds").get<double>(), total += one.at("training_seconds").get<double>();
    const std::string& name = names[static_cast<std::size_t>(task_of[r])];
    if (!out["tasks"].contains(name)) out["tasks"][name] = one;
  }
  out["bytes_per_step_per_rank"] = bytes / static_cast<double>(ranks.size());
  out["overhead"] = total > 0 ? sharing / total : 0;
  out["waiting_share"] = total > 0 ? waiting / total : 0;
  out["sweep_share"] = total > 0 ? sweeps / total : 0;
  out["version"] = CHORALE_VERSION;
  return out;
}

void say_results(const Json& whole, const std::filesystem::path& run) {
  for (const auto& [name, task] : whole.at("tasks").items()) {
    const Json metrics = task.value("metrics", Json::object());
    std::string scores;
    for (const char* part : {"validation", "test"})
      if (metrics.contains(part))
        for (const auto& [metric, value] : metrics.at(part).items())
          if (value.is_number()) scores += fmt::format("  {} {} {:.4f}", part, metric, value.get<double>());
    std::fprintf(stderr, "%-12s %s\n", name.c_str(), scores.c_str());
  }
  std::fprintf(stderr, "run directory: %s\n", run.c_str());
}

}  // namespace chorale
