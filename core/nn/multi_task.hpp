// One network for several tasks: a shared representation, one tower a task. Sources: Caruana, Machine Learning 1997 (shared_bottom); Ma et
// al., KDD 2018 (mmoe); Tang et al., RecSys 2020 (ple).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/base/registry.hpp>
#include <chorale/core/nn/linear.hpp>
#include <chorale/core/nn/sequential.hpp>

namespace chorale {

/// One thing that is predicted of a row.
struct TaskOutput {
  std::string name;
  std::int64_t outputs = 1;  // logits or values a row
};

struct MultiTaskOptions {
  std::vector<TaskOutput> tasks;
  std::string expert_layers;      // of each expert, of the bottom of shared_bottom: "linear(64) relu"
  std::string tower_layers;       // of each tower before its last linear layer, which is added; empty: that layer alone
  std::int64_t experts = 4;       // shared ones, of mmoe and at each level of ple
  std::int64_t task_experts = 1;  // ple: each task's own at each level
  std::int64_t levels = 2;        // ple
  bool learns_weights = false;    // a log variance of each task, which its loss is weighted by
};

/// Reads "x" [B, F]; gives "y.NAME" [B, C] of each task and, where weights are learnt, "log_variance.NAME" [1] while training.
class MultiTask : public Module {
 public:
  Values forward(const Values& in, const Pass& pass) final;
  /// Do several tasks learn this parameter (a name of parameters())? Gates and towers are one task's.
  virtual bool is_shared(std::string_view parameter) const = 0;
  const std::vector<TaskOutput>& tasks() const { return options_.tasks; }

 protected:
  /// Throws UsageError for what no model can be made of.
  explicit MultiTask(MultiTaskOptions options);
  /// What each task's tower reads, [B, D], by task.
  virtual std::vector<Variable> represent(const Variable& x, const Pass& pass) = 0;
  /// Called last: `width` is D.
  void make_towers(std::int64_t width, const Registry& registry);
  const MultiTaskOptions& options() const { return options_; }

 private:
  MultiTaskOptions options_;
  std::vector<std::unique_ptr<Sequential>> towers_;
  std::vector<Parameter*> log_variances_;  // by task; empty: none are learnt
};

using ExpertList = std::vector<std::unique_ptr<Sequential>>;

/// Experts of one shape, each the same layers with parameters of its own. Throws UsageError where the layers give no flat rows.
ExpertList make_experts(const std::string& layers, std::int64_t count, std::int64_t in, const Registry& registry);
/// Columns of what each of them gives for rows of `in` columns.
std::int64_t expert_width(const ExpertList& experts, std::int64_t in);
/// Each one's result for x, in their order.
std::vector<Variable> run_experts(const ExpertList& experts, const Variable& x, const Pass& pass);

/// What a gate makes of the experts: it is a linear layer without bias, whose softmax says how much of each.
Variable gated(Linear& gate, const Variable& x, const std::vector<Variable>& experts, const Pass& pass);

/// In the Registry under the name of model.kind.
struct MultiTaskEntry {
  std::string help;
  /// in: features of a row.
  std::unique_ptr<MultiTask> (*make)(const MultiTaskOptions& options, std::int64_t in, const Registry& registry);
};

}  // namespace chorale
