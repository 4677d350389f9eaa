// The `replicated` exchange: every rank has private parameters and optimiser state, gradients lie doubled in node memory, one meeting a
// step. Each rank sums all contributions block by block in tree order and applies the update to its own copy: equal bits on every rank
// without an all-gather.
#pragma once
#include <chorale/train/exchange/block_exchange.hpp>

namespace chorale {

class Replicated final : public BlockExchange {
 public:
  explicit Replicated(const ExchangeSetup& setup);

 private:
  void publish(FlatParams& params) override;
};

}  // namespace chorale
