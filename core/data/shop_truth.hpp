// What can be known about a drawn label: its true probability and the posterior given the table's columns only.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace chorale {

/// Traits of customers that several tables show something of.
enum class ShopTrait : std::uint8_t { thrift, patience, none };

/// Of a trait, which is N(0, 1), by columns that show it with noise: given them it is N(sum / (1 + precision), 1 / (1 + precision)).
struct Evidence {
  double sum = 0, precision = 0;  // of shown / noise^2, and of 1 / noise^2
};

/// What one row's label hangs on.
struct ShopRow {
  struct Part {
    double weight = 0;
    ShopTrait kind = ShopTrait::none;
    Evidence shown = {};  // by the row's own columns
  };
  std::size_t customer = 0;
  double seen = 0;  // the part of the logit that follows from columns alone
  std::array<Part, 2> traits;
};

/// One binary task of the shop, row by row.
struct ShopTask {
  ShopTask(std::string name_, std::string table_, std::string target_, std::string sharing_)
      : name(std::move(name_)), table(std::move(table_)), target(std::move(target_)), sharing(std::move(sharing_)) {}
  std::string name, table, target;
  std::string sharing;              // how the task was built: sharing "helps", "helps little" or "cannot help"
  std::vector<double> probability;  // label was drawn from it
  std::vector<double> attainable;   // the same with unseen traits integrated out
  std::vector<double> shared;       // as attainable, when all that other tasks' tables show of the row's customer is known too
  std::vector<int> label;
  std::vector<ShopRow> rows;
};

/// Fills `shared` of all tasks. Other tables' columns count, not their labels, nor how many rows they have of a customer.
void share_evidence(std::vector<ShopTask>& tasks, std::size_t customers);

/// E[1 / (1 + exp(-(mean + deviation Z)))] for a standard normal Z, by a sum over 41 points.
double expected_sigmoid(double mean, double deviation);

/// Area under the ROC curve, ties counted half; 0.5 when a class is absent.
double rank_auc(const std::vector<double>& score, const std::vector<int>& label);

/// The content of truth.json.
std::string truth_json(const std::vector<ShopTask>& tasks);

}  // namespace chorale
