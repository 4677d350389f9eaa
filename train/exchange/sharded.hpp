// The `sharded` exchange: optimiser state and update are cut over all ranks of all nodes. The owner of a block sums it, updates it and
// sends the new parameters to every other node, where they lie once. State that other nodes' ranks own takes memory only from the first
// checkpoint or new plan of buckets on, which gather it. On a narrow wire differences of parameters travel in bf16, and the error of
// rounding is fed back.
#pragma once
#include <optional>

#include <chorale/train/exchange/block_update.hpp>
#include <chorale/train/exchange/ordered_sum.hpp>

namespace chorale {

class Sharded final : public Exchange {
 public:
  explicit Sharded(const ExchangeSetup& setup);
  std::span<const Buffer> begin() override { return sum_.begin(); }
  void bucket_ready(const Bucket& bucket) override { sum_.bucket_ready(bucket); }
  void advance() override { sum_.advance(); }
  StepOutcome step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                   const RankReport& mine) override;
  const std::vector<Phases>& phases() const override { return sum_.phases(); }
  std::uint64_t bytes_per_step() const override { return sum_.bytes_per_step(); }
  void gather_state(Optimizer& optimizer) override;
  std::vector<Carried> carried() const override;

 private:
  void update(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight);
  void update_narrow(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight);
  Communicator& comm_;
  Trace* trace_;
  OrderedSum sum_;
  BlockUpdate update_;
  // On a narrow wire: what rounding has kept back of every parameter, added before the next update. One copy a node; the owner writes it.
  SharedMemory residual_memory_;
  Buffer residual_;
  Tensor before_;  // parameters before the update
};

}  // namespace chorale
