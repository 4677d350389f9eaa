// PCGrad (train/pcgrad.hpp) for the tasks of one model: on sums over all ranks, so that the result is that of one process.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/worker_tree.hpp>

namespace chorale {

/// One thread. Every step: a pass for each task into of_task(), then combine().
class GradientSurgery {
 public:
  struct Setup {
    Communicator& comm;
    FlatParams& params;
    std::size_t tasks;
    std::int64_t virtual_workers;
    std::uint64_t seed;  // of the orders
    std::function<bool(std::string_view parameter)> is_shared;
  };
  explicit GradientSurgery(Setup setup);
  /// Where task t's gradient is to be summed up for each of this rank's subtrees.
  std::span<const Buffer> of_task(std::size_t t) const { return targets_[t]; }
  /// Collective. Writes what this rank contributes to the exchange's sums, by subtree: of shared parameters its share of the
  /// projected sum, of those of one task its gradients as they are. Sends each rank its share of the others' gradients of shared
  /// parameters, T times their bytes for each subtree.
  void combine(std::int64_t step, std::span<const Buffer> into);
  /// Products of the last step's gradients, [T, T]; equal bits at every number of ranks.
  const std::vector<double>& gram() const { return gram_; }

 private:
  template <class T>
  void sum_products();
  template <class T>
  void pack(std::vector<T>& out, std::vector<std::int64_t>& counts) const;
  template <class T>
  void write(std::span<const double> weights, std::span<const Buffer> into) const;
  Share blocks_of(int rank) const;
  std::int64_t elements_of(Share blocks) const;

  Setup setup_;
  std::vector<Share> shared_;  // ranges of the arena
  std::int64_t shared_elements_ = 0;
  std::vector<Subtree> mine_;
  std::vector<std::int64_t> subtrees_;  // of each rank, how many
  TreeSum tree_;
  std::vector<Tensor> memory_;
  std::vector<std::vector<Buffer>> targets_;  // by task, by subtree
  std::vector<Tensor> sums_;                  // by task: over all workers, of this rank's share of the shared parameters
  std::vector<double> gram_;
};

}  // namespace chorale
