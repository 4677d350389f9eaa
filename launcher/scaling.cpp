#include <chorale/launcher/scaling.hpp>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace chorale {

namespace {

using Json = nlohmann::ordered_json;

double samples_per_second(std::int64_t batch, const ScaleRun& run) {
  return run.step_ms > 0 ? 1000 * static_cast<double>(batch) / run.step_ms : 0;
}

Json spread_json(const Spread& s) { return {{"median", s.median}, {"min", s.min}, {"max", s.max}}; }

/// 1234567 as 1.235M: a table of throughputs is read by its first digits.
std::string short_number(double value) {
  if (value >= 1e6) return fmt::format("{:.3f}M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.1f}k", value / 1e3);
  return fmt::format("{:.1f}", value);
}

}  // namespace

std::vector<ScalePoint> scale_points(std::span<const int> ranks, std::span<const std::int64_t> batches,
                                     std::span<const std::vector<ScaleRun>> runs) {
  std::vector<ScalePoint> points;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    std::vector<double> speed, step, efficiency, exposed;
    for (const std::vector<ScaleRun>& repeat : runs) {
      const double here = samples_per_second(batches[i], repeat[i]), first = samples_per_second(batches[0], repeat[0]);
      speed.push_back(here);
      step.push_back(repeat[i].step_ms);
      efficiency.push_back(first > 0 ? here / first * ranks[0] / ranks[i] : 0);
      exposed.push_back(repeat[i].exposed);
    }
    points.push_back({ranks[i], batches[i], spread_of(speed), spread_of(step), spread_of(efficiency), spread_of(exposed)});
  }
  return points;
}

std::string scaling_table(const Scaling& s) {
  std::string out = fmt::format("{} scaling of {}, {} repeats, alternating; median (min to max)\n\n", s.mode, s.subject, s.repeat);
  out += fmt::format("{:>5} {:>8}  {:<28} {:>10}  {:<22} {}\n", "ranks", "batch", "samples/s", "step ms", "efficiency", "not hidden");
  bool crowded = false;
  for (const ScalePoint& p : s.points) {
    const std::string speed = fmt::format("{} ({} to {})", short_number(p.samples_per_second.median),
                                          short_number(p.samples_per_second.min), short_number(p.samples_per_second.max));
    const std::string efficiency = fmt::format("{:.3f} ({:.3f} to {:.3f})", p.efficiency.median, p.efficiency.min, p.efficiency.max);
    out += fmt::format("{:>5} {:>8}  {:<28} {:>10.4f}  {:<22} {:.1f} % ({:.1f} to {:.1f})\n", p.ranks, p.batch, speed, p.step_ms.median,
                       efficiency, 100 * p.exposed.median, 100 * p.exposed.min, 100 * p.exposed.max);
    crowded = crowded || p.ranks > s.cores;
  }
  out += fmt::format(
      "\nefficiency: samples/s over those at {} rank{} times the ratio of ranks; not hidden: share of a step that only communicated\n",
      s.points.front().ranks, s.points.front().ranks == 1 ? "" : "s");
  if (crowded) out += fmt::format("this machine gives {} cores: with more ranks the efficiency cannot reach 1\n", s.cores);
  return out;
}

std::string scaling_json(const Scaling& s) {
  Json points = Json::array();
  for (const ScalePoint& p : s.points)
    points.push_back({{"ranks", p.ranks},
                      {"batch", p.batch},
                      {"samples_per_second", spread_json(p.samples_per_second)},
                      {"step_ms", spread_json(p.step_ms)},
                      {"efficiency", spread_json(p.efficiency)},
                      {"communicate_not_hidden", spread_json(p.exposed)}});
  const Json all = {{"mode", s.mode},   {"subject", s.subject},       {"repeat", s.repeat},
                    {"cores", s.cores}, {"version", CHORALE_VERSION}, {"points", points}};
  return all.dump(2) + "\n";
}

}  // namespace chorale
