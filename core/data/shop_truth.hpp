// What can be known about a drawn label: its true probability and the posterior given the table's columns only.
#pragma once
#include <string>
#include <vector>

namespace chorale {

/// One binary task of the shop, row by row.
struct ShopTask {
  std::string name, table, target;
  std::vector<double> probability;  // label was drawn from it
  std::vector<double> attainable;   // the same with unseen traits integrated out
  std::vector<int> label;
};

/// E[1 / (1 + exp(-(mean + deviation Z)))] for a standard normal Z, by a sum over 41 points.
double expected_sigmoid(double mean, double deviation);

/// Area under the ROC curve, ties counted half; 0.5 when a class is absent.
double rank_auc(const std::vector<double>& score, const std::vector<int>& label);

/// The content of truth.json.
std::string truth_json(const std::vector<ShopTask>& tasks);

}  // namespace chorale
