// The `shared` exchange: a node holds parameters and optimiser state once. Each of its ranks sums and updates the blocks it owns, where all
// read them. Two meetings a step: before, all gradients are there; after, all parameters are.
#pragma once
#include <optional>

#include <chorale/train/exchange/block_update.hpp>
#include <chorale/train/exchange/ordered_sum.hpp>

namespace chorale {

class Shared final : public Exchange {
 public:
  explicit Shared(const ExchangeSetup& setup);
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
