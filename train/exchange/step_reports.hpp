// What ranks tell each other beside gradients: loss and weight of every virtual worker, stop requests, times of the previous step. Doubled
// by the parity of the step, because a rank may write the next one while a peer still reads this one.
#pragma once
#include <span>
#include <vector>

#include <chorale/train/exchange/exchange.hpp>

namespace chorale {

/// One thread.
class StepReports {
 public:
  StepReports(Communicator& comm, std::int64_t virtual_workers);
  /// Writes this rank's words of the step and meets all others: afterwards they can be read, and so can, on one node, everything that
  /// peers wrote before. Collective.
  void meet(std::span<const WorkerReport> reports, const RankReport& mine, Label label);
  /// After meet(): sums in tree order, the first worker that is not finite, whether anybody asks to stop. Equal on all ranks.
  StepOutcome collect();
  /// After collect(): of every rank's previous step.
  const std::vector<Phases>& phases() const { return phases_; }

 private:
  double* slot(int local_rank) const;
  Communicator& comm_;
  std::int64_t workers_, elements_ = 0;
  int size_, local_;
  bool one_node_;
  TreeSum tree_;
  SharedMemory memory_;
  int parity_ = 0;
  std::vector<double> all_;  // between nodes
  std::vector<const void*> loss_, weight_;
  std::vector<Phases> phases_;
};

}  // namespace chorale
