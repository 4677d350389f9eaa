#include <chorale/core/metrics/metric.hpp>

#include <algorithm>

namespace chorale {

bool fits(const MetricEntry& metric, MetricEntry::Task target) {
  using Task = MetricEntry::Task;
  return metric.task == Task::any || metric.task == target || (metric.task == Task::classes && target == Task::binary);
}

namespace {

using Task = MetricEntry::Task;

const char* targets_of(Task task) {
  switch (task) {
    case Task::binary:
      return "targets of 0 or 1";
    case Task::classes:
      return "class targets";
    case Task::value:
      return "number targets";
    case Task::any:
      break;
  }
  return "targets";
}

std::string fitting_names(const Catalog<MetricEntry>& catalog, Task target) {
  std::string out;
  for (const std::string& name : catalog.names())
    if (fits(catalog.at(name, "metric"), target)) out += " " + name;
  return out;
}

}  // namespace

std::vector<std::unique_ptr<Metric>> make_metrics(std::span<const std::string> names, std::int64_t outputs, MetricEntry::Task task,
                                                  const Registry& registry) {
  const bool one_output = task == Task::binary || task == Task::value;
  if (outputs < 1 || (one_output && outputs != 1) || (task == Task::classes && outputs < 2))
    throw UsageError("[metrics] " + std::string(targets_of(task)) + " need " + (one_output ? "1 output" : "2 outputs or more") +
                     " a row, the model has " + std::to_string(outputs) + "; change the last layer or the loss");
  const Catalog<MetricEntry>& catalog = registry.of<MetricEntry>();
  std::vector<std::unique_ptr<Metric>> metrics;
  for (auto it = names.begin(); it != names.end(); ++it) {
    const MetricEntry& entry = catalog.at(*it, "metric");
    if (std::find(names.begin(), it, *it) != it) throw UsageError("metric '" + *it + "' is named twice; remove one");
    if (!fits(entry, task))
      throw UsageError("metric '" + *it + "' needs " + targets_of(entry.task) + ", this model has " + targets_of(task) +
                       "; what fits:" + fitting_names(catalog, task));
    metrics.push_back(entry.make(outputs));
  }
  return metrics;
}

}  // namespace chorale
