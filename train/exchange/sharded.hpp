// The `sharded` exchange: optimiser state and update are cut over all ranks of all nodes. The owner of a block sums it, updates it and
// sends the new parameters to every other node, where they lie once. State that a rank does not own is never touched, so the system gives
// no memory for it.
#pragma once
#include <chorale/train/exchange/block_update.hpp>
#include <chorale/train/exchange/ordered_sum.hpp>

namespace chorale {

class Sharded final : public Exchange {
 public:
  explicit Sharded(const ExchangeSetup& setup);
  std::span<const Buffer> begin() override { return sum_.begin(); }
  void bucket_ready(const Bucket& bucket) override { sum_.bucket_ready(bucket); }
  void advance() override { sum_.advance(); }
  StepOutcome step(FlatParams& params, Optimizer& optimizer, std::int64_t step, std::span<const WorkerReport> reports,
                   const RankReport& mine) override;
  const std::vector<Phases>& phases() const override { return sum_.phases(); }
  std::uint64_t bytes_per_step() const override { return sum_.bytes_per_step(); }
  void gather_state(Optimizer& optimizer) override;

 private:
  Communicator& comm_;
  OrderedSum sum_;
  BlockUpdate update_;
};

}  // namespace chorale
