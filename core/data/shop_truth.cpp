#include <chorale/core/data/shop_truth.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace chorale {

double expected_sigmoid(double mean, double deviation) {
  double sum = 0, total = 0;
  for (int i = -20; i <= 20; ++i) {
    const double z = 0.25 * i, weight = std::exp(-0.5 * z * z);
    sum += weight / (1 + std::exp(-(mean + deviation * z)));
    total += weight;
  }
  return sum / total;
}

double rank_auc(const std::vector<double>& score, const std::vector<int>& label) {
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score[a] < score[b]; });
  double positives = 0, negatives = 0, wins = 0;
  for (std::size_t i = 0; i < order.size();) {
    double here_positive = 0, here_negative = 0;
    std::size_t j = i;
    for (; j < order.size() && score[order[j]] == score[order[i]]; ++j) (label[order[j]] ? here_positive : here_negative) += 1;
    wins += here_positive * (negatives + 0.5 * here_negative);
    positives += here_positive;
    negatives += here_negative;
    i = j;
  }
  return positives == 0 || negatives == 0 ? 0.5 : wins / (positives * negatives);
}

std::string truth_json(const std::vector<ShopTask>& tasks) {
  std::string text = "{\n  \"tasks\": {\n";
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const ShopTask& task = tasks[t];
    const double positives = std::accumulate(task.label.begin(), task.label.end(), 0.0);
    const double rate = task.label.empty() ? 0 : positives / static_cast<double>(task.label.size());
    char line[400];
    std::snprintf(line, sizeof line,
                  "    \"%s\": {\"table\": \"%s\", \"target\": \"%s\", \"rows\": %zu, \"base_rate\": %.6f, \"auc_true\": %.6f, "
                  "\"auc_attainable\": %.6f}%s\n",
                  task.name.c_str(), task.table.c_str(), task.target.c_str(), task.label.size(), rate,
                  rank_auc(task.probability, task.label), rank_auc(task.attainable, task.label), t + 1 < tasks.size() ? "," : "");
    text += line;
  }
  return text + "  }\n}\n";
}

}  // namespace chorale
