#include <chorale/train/early_stopping.hpp>

#include <cmath>
#include <cstdlib>

#include <chorale/core/metrics/metric.hpp>

namespace chorale {

EarlyStopping::EarlyStopping(const std::vector<std::string>& words, const Registry& registry, const std::string& key) {
  if (words.empty()) return;
  const std::size_t dot = words[0].find('.');
  char* end = nullptr;
  const long patience = words.size() == 2 ? std::strtol(words[1].c_str(), &end, 10) : 0;
  if (words.size() != 2 || dot == std::string::npos || *end || patience < 1)
    throw UsageError(key + " is a score and a number of evaluations without improvement: validation.auc 5");
  part_ = words[0].substr(0, dot);
  metric_ = words[0].substr(dot + 1);
  if (part_ != "validation")
    throw UsageError(key + " watches the validation part, not '" + part_ + "': validation." + metric_ + " " + words[1]);
  higher_is_better_ = registry.of<MetricEntry>().at(metric_.substr(metric_.rfind('.') + 1), "metric").higher_is_better;
  patience_ = patience;
}

bool EarlyStopping::update(const Scores& scores, std::int64_t step) {
  if (!active()) return false;
  const auto part = scores.find(part_);
  if (part == scores.end()) return false;
  const auto score = part->second.find(metric_);
  if (score == part->second.end()) return false;
  const double value = score->second;
  if (!std::isnan(value) && (std::isnan(best) || (higher_is_better_ ? value > best : value < best))) {
    restore(value, step, 0);
    return true;
  }
  ++without_improvement_;
  return false;
}

}  // namespace chorale
