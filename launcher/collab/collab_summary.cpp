#include <chorale/launcher/collab/collab_summary.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/run_files.hpp>

namespace chorale {

using Json = nlohmann::ordered_json;

namespace {

/// A peer's vectors of one kind of entity.
Json source_json(CollabTask& task, std::int64_t number) {
  const FetchSource& source = task.fetched()->sources()[static_cast<std::size_t>(number)];
  return {{"peer", task.store()->tasks()[static_cast<std::size_t>(source.publisher)]}, {"kind", source.kind}};
}

}  // namespace

Json task_summary(CollabTask& task, const Summary& summary, TaskRole role, const SharingCost& cost) {
  const Sharing& hook = task.hook();
  Json mine = Json::parse(summary_json(summary));
  mine["steps_per_tick"] = cost.steps_per_tick;
  mine["ranks"] = cost.ranks;
  mine["role"] = std::string(name(role));
  mine["sharing_seconds"] = hook.seconds_in_ticks() - hook.seconds_in_sweeps();
  mine["sweep_seconds"] = hook.seconds_in_sweeps();
  mine["waiting_seconds"] = hook.seconds_waiting();
  mine["training_seconds"] = cost.seconds;
  mine["sharing_bytes"] = cost.bytes;
  mine["checkpoints"]["ticks"] = cost.ticks_saved;
  if (const std::int64_t n = task.test_entities_peers_trained_on(); n >= 0) mine["test_entities_peers_trained_on"] = n;
  mine["leaks"] = Json::array();
  for (const Leak& leak : task.leaks()) {
    Json& one = mine["leaks"].emplace_back(source_json(task, leak.source));
    one["of"] = leak.component < 0 ? Json("presence") : Json(leak.component);
    one["correlation"] = leak.correlation, one["rows"] = leak.rows;
  }
  mine["guard"] = Json::array();
  for (const GuardEvent& e : hook.guard_events()) {
    const Json source = source_json(task, e.source);
    mine["guard"].push_back({{"validation", e.validation},
                             {"peer", source.at("peer")},
                             {"kind", source.at("kind")},
                             {"event", e.opens ? "opens" : "closes"},
                             {"benefit", e.benefit.mean},
                             {"standard_error", e.benefit.error},
                             {"entities", e.benefit.entities}});
  }
  return mine;
}

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
  std::fprintf(stderr, "run directory: %s\n", printable(run.string()).c_str());
}

}  // namespace chorale
