// One agreed gradient for all ranks: contributions of a node are read where they lie, between nodes every bucket's shares travel to their
// owners; either way they are added in the one tree over virtual workers.
#pragma once
#include <memory>

#include <chorale/train/exchange/gradient_memory.hpp>
#include <chorale/train/exchange/node_link.hpp>
#include <chorale/train/exchange/step_reports.hpp>

namespace chorale {

/// One thread.
class OrderedSum {
 public:
  struct Options {
    bool doubled;     // gradient buffers of two steps, so that one meeting a step is enough
    bool everywhere;  // between nodes the sums come back to every node; else each owner keeps its own
  };
  OrderedSum(const ExchangeSetup& setup, Options options);
  std::span<const Buffer> begin();
  /// Starts the bucket's way to its owners.
  void bucket_ready(const Bucket& bucket);
  bool advance() { return link_ && link_->advance(); }
  /// Meets all ranks; afterwards sum() answers. Collective. outcome.communicate_ms is filled.
  StepOutcome agree(std::int64_t step, std::span<const WorkerReport> reports, const RankReport& mine);
  /// The summed gradient of up to a block: of any (everywhere, or one node), or of this rank's own parts.
  template <class T>
  const T* sum(std::int64_t first, std::int64_t n);

  bool one_node() const { return !link_; }
  NodeLink& link() { return *link_; }
  const std::vector<Phases>& phases() const { return reports_.phases(); }
  std::uint64_t bytes_per_step() const { return link_ ? link_->bytes_per_step() : 0; }

 private:
  ExchangeSetup setup_;
  Options options_;
  GradientMemory gradients_;
  StepReports reports_;
  std::unique_ptr<NodeLink> link_;  // null: one node
};

}  // namespace chorale
