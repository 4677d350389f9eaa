// What a study reads once: the rows of all tasks of a recipe.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <chorale/core/base/log.hpp>
#include <chorale/launcher/collab/collab_recipe.hpp>

namespace chorale {

struct TrialTask {
  PreparedData data;
  std::string metric;
  /// Of the training part, rows whose entities are in no other task's test part; for the arm disjoint.
  std::vector<std::int64_t> disjoint_rows = {};
  /// By row of the test part; a row without entity is one by itself.
  std::vector<std::uint64_t> test_entities() const;
};

class TrialData {
 public:
  /// The recipe outlives it. Throws UsageError where the recipe's tasks cannot be studied: a metric that cannot be drawn again, no test
  /// rows.
  TrialData(const CollabRecipe& recipe, Log& log);
  const CollabRecipe& recipe() const { return recipe_; }
  std::size_t size() const { return tasks_.size(); }
  const TrialTask& task(std::size_t t) const { return *tasks_[t]; }
  /// One rank each.
  const std::vector<TaskInfo>& infos() const { return infos_; }
  /// Hash of recipe and data.
  const std::string& identity() const { return identity_; }

 private:
  void find_disjoint_rows();
  const CollabRecipe& recipe_;
  std::vector<std::unique_ptr<TrialTask>> tasks_;
  std::vector<TaskInfo> infos_;
  std::string identity_;
};

}  // namespace chorale
