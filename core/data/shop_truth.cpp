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

void share_evidence(std::vector<ShopTask>& tasks, std::size_t customers) {
  using Known = std::array<Evidence, 2>;  // by trait
  std::vector<std::vector<Known>> known;  // by task, by customer
  for (const ShopTask& task : tasks) {
    std::vector<Known>& here = known.emplace_back(customers);
    for (const ShopRow& row : task.rows)
      for (const ShopRow::Part& part : row.traits) {
        if (part.kind == ShopTrait::none) continue;
        Evidence& of = here[row.customer][static_cast<std::size_t>(part.kind)];
        of.sum += part.shown.sum, of.precision += part.shown.precision;
      }
  }
  for (std::size_t t = 0; t < tasks.size(); ++t)
    for (const ShopRow& row : tasks[t].rows) {
      double mean = row.seen, variance = 0;
      for (const ShopRow::Part& part : row.traits) {
        Evidence all = part.shown;
        for (std::size_t other = 0; part.kind != ShopTrait::none && other < tasks.size(); ++other) {
          if (other == t) continue;
          const Evidence& of = known[other][row.customer][static_cast<std::size_t>(part.kind)];
          all.sum += of.sum, all.precision += of.precision;
        }
        mean += part.weight * all.sum / (1 + all.precision);
        variance += part.weight * part.weight / (1 + all.precision);
      }
      tasks[t].shared.push_back(expected_sigmoid(mean, std::sqrt(variance)));
    }
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
                  "\"auc_attainable\": %.6f, \"auc_attainable_shared\": %.6f, \"sharing\": \"%s\"}%s\n",
                  task.name.c_str(), task.table.c_str(), task.target.c_str(), task.label.size(), rate,
                  rank_auc(task.probability, task.label), rank_auc(task.attainable, task.label), rank_auc(task.shared, task.label),
                  task.sharing.c_str(), t + 1 < tasks.size() ? "," : "");
    text += line;
  }
  return text + "  }\n}\n";
}

}  // namespace chorale
