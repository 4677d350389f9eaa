// The `shared` exchange: a node holds parameters and optimiser state once. Each of its ranks sums and updates the blocks it owns, where all
// read them. Two meetings a step: before, all gradients are there; after, all parameters are. A third where each NUMA domain has a copy of
// the parameters.
#pragma once
#include <chorale/train/exchange/block_exchange.hpp>
#include <chorale/train/exchange/domain_copies.hpp>

namespace chorale {

class Shared final : public BlockExchange {
 public:
  explicit Shared(const ExchangeSetup& setup);

 private:
  void publish(FlatParams& params) override;
  DomainCopies copies_;
};

}  // namespace chorale
