// The `replicated` exchange: every rank has private parameters and optimiser state, gradients lie doubled in node memory, one meeting a
// step. Each rank sums all contributions block by block in tree order and applies the update to its own copy: equal bits on every rank
// without an all-gather.
#pragma once
#include <optional>

#include <chorale/train/exchange/block_update.hpp>
#include <chorale/train/exchange/ordered_sum.hpp>

namespace chorale {

class Replicated final : public Exchange {
 public:
  explicit Replicated(const ExchangeSetup& setup);
  std::span<const Buffer> begin() override { return sum_.begin(); }
  void bucket_ready(const Bucket& bucket) override { sum_.bucket_ready(bucket); }
  void advance() override { sum_.advance(); }
  StepOutcome step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                   const RankReport& mine) override;
  const std::vector<Phases>& phases() const override { return sum_.phases(); }
  std::uint64_t bytes_per_step() const override { return sum_.bytes_per_step(); }
  void gather_state(Optimizer&) override {}  // every node has it
  std::vector<Carried> carried() const override { return {}; }

 private:
  Communicator& comm_;
  Trace* trace_;
  OrderedSum sum_;
  BlockUpdate update_;
};

}  // namespace chorale
