#include <chorale/launcher/compare/comparison.hpp>

#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/metrics/metric.hpp>

namespace chorale {

namespace {
constexpr const char* kSpeed = "samples_per_second";

bool is_seed(const std::string& key) { return key == "train.seed" || key == "data.split_seed"; }

/// Keys in which two of them differ, seeds left out.
std::set<std::string> differing_keys(std::span<const RunRecord> records) {
  std::set<std::string> out;
  const auto compare_with_first = [&](const RunRecord& other, const RunRecord& base) {
    for (const auto& [key, value] : base.keys) {
      const auto found = other.keys.find(key);
      if (!is_seed(key) && (found == other.keys.end() || found->second != value)) out.insert(key);
    }
  };
  for (const RunRecord& record : records) compare_with_first(record, records[0]), compare_with_first(records[0], record);
  return out;
}

std::string setting_of(const RunRecord& record, const std::set<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys)
    out += (out.empty() ? "" : ", ") + key + " = " + (record.keys.contains(key) ? excerpt(record.keys.at(key), 60) : "(none)");
  return out;
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

/// By seed; of several runs of one seed their mean.
std::map<std::string, double> by_seed(const ComparedSetting& setting, const std::string& metric) {
  std::map<std::string, std::vector<double>> all;
  for (const RunRecord* run : setting.runs)
    if (run->scores.contains(metric)) all[run->seed()].push_back(run->scores.at(metric));
  std::map<std::string, double> out;
  for (const auto& [seed, values] : all) out[seed] = mean_of(values);
  return out;
}

ComparedScore score_of(const Comparison& comparison, std::size_t s, const std::string& metric) {
  const ComparedSetting& setting = comparison.settings[s];
  ComparedScore out;
  for (const RunRecord* run : setting.runs)
    if (run->scores.contains(metric)) out.values.push_back(run->scores.at(metric));
  if (out.values.empty()) return out;
  out.mean = mean_of(out.values), out.deviation = deviation_of(out.values);
  if (s == 0) return out;
  const auto mine = by_seed(setting, metric), first = by_seed(comparison.settings[0], metric);
  std::vector<double> a, b;
  for (const auto& [seed, value] : mine)
    if (first.contains(seed)) a.push_back(value), b.push_back(first.at(seed));
  if (a.size() > 1) out.against_first = paired_difference(a, b);
  return out;
}

/// The loss first, speed last.
std::vector<std::string> metric_names(std::span<const RunRecord> records) {
  std::set<std::string> all;
  for (const RunRecord& record : records)
    for (const auto& [name, value] : record.scores) all.insert(name);
  std::vector<std::string> out(all.begin(), all.end());
  std::stable_partition(out.begin(), out.end(), [](const std::string& name) { return name == "loss"; });
  std::stable_partition(out.begin(), out.end(), [](const std::string& name) { return name != kSpeed; });
  return out;
}

/// name: "auc", or "income.auc" of one of several targets.
bool higher_is_better(const std::string& name, const Registry& registry) {
  const std::string metric = name.substr(name.rfind('.') == std::string::npos ? 0 : name.rfind('.') + 1);
  const auto& all = registry.of<MetricEntry>();
  return name == kSpeed || (all.contains(metric) && all.at(metric, "metric").higher_is_better);
}
}  // namespace

PairedDifference paired_difference(std::span<const double> a, std::span<const double> b) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  const auto n = static_cast<double>(differences.size());
  const double mean = mean_of(differences), error = deviation_of(differences) / std::sqrt(n);
  const double reach = error > 0 ? boost::math::quantile(boost::math::students_t(n - 1), 0.975) * error : 0;
  return {.mean = mean, .low = mean - reach, .high = mean + reach, .pairs = differences.size()};
}

std::string changed_data(std::span<const RunRecord> records) {
  const auto section = [](const RunRecord& record) {
    std::map<std::string, std::string> out;
    for (const auto& [key, value] : record.keys)
      if (key.starts_with("data.")) out[key] = value;
    return out;
  };
  std::map<std::map<std::string, std::string>, const RunRecord*> first;
  for (const RunRecord& record : records) {
    if (record.data.empty()) continue;
    const RunRecord& before = *first.emplace(section(record), &record).first->second;
    if (before.data != record.data)
      return before.folder.string() + " and " + record.folder.string() +
             " name the same data and had other rows: a file has changed in between, and their scores are not of one test part";
  }
  return "";
}

Comparison compare(std::span<const RunRecord> records, const std::string& part) {
  if (records.empty()) throw UsageError("compare needs runs: chorale compare RUN RUN ...");
  Registry registry;
  register_all(registry);
  Comparison out{.part = part, .settings = {}, .metrics = {}};
  const std::set<std::string> keys = differing_keys(records);
  for (const RunRecord& record : records) {
    const std::string text = setting_of(record, keys);
    auto found = std::find_if(out.settings.begin(), out.settings.end(), [&](const ComparedSetting& s) { return s.text == text; });
    if (found == out.settings.end()) found = out.settings.insert(found, {.text = text, .runs = {}});
    found->runs.push_back(&record);
  }
  for (const std::string& name : metric_names(records)) {
    Comparison::Metric metric{.name = name, .higher_is_better = higher_is_better(name, registry), .scores = {}};
    for (std::size_t s = 0; s < out.settings.size(); ++s) metric.scores.push_back(score_of(out, s, name));
    out.metrics.push_back(std::move(metric));
  }
  if (keys.empty()) out.settings[0].text = "all runs";
  return out;
}

}  // namespace chorale
