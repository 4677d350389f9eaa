#include <chorale/launcher/doctor/probe.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace chorale {

const std::vector<Probe>& all_probes() {
  static const std::vector<Probe> all = {seats_probe(),  builds_probe(), limits_probe(),     interfaces_probe(), directory_probe(),
                                         clocks_probe(), links_probe(),  all_reduce_probe(), peaks_probe()};
  return all;
}

const Probe* find_probe(const std::string& name) {
  const auto found = std::find_if(all_probes().begin(), all_probes().end(), [&](const Probe& probe) { return probe.name == name; });
  return found == all_probes().end() ? nullptr : &*found;
}

std::string rank_text(int rank, const std::string& host) { return fmt::format("rank {} on {}", rank, host); }

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle), values.end());
  const double upper = values[middle];
  if (values.size() % 2 == 1) return upper;
  return (*std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle)) + upper) / 2;
}

std::string bytes_text(double bytes) {
  const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(units)) bytes /= 1024, ++unit;
  return unit == 0 ? fmt::format("{:.0f} bytes", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

}  // namespace chorale
