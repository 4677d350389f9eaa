// The `sharded` exchange: optimiser state and update are cut over all ranks of all nodes. The owner of a block sums it, updates it and
// sends the new parameters to every other node, where they lie once (or once a NUMA domain). State that other nodes' ranks own takes memory
// only while a new plan of buckets, or a checkpoint that training waits for, needs all of it. On a narrow wire differences of parameters
// travel in bf16, and the error of rounding is fed back.
#pragma once
#include <chorale/train/exchange/block_exchange.hpp>
#include <chorale/train/exchange/domain_copies.hpp>

namespace chorale {

class Sharded final : public BlockExchange {
 public:
  explicit Sharded(const ExchangeSetup& setup);
  void gather_state(Optimizer& optimizer) override;
  void release_state(Optimizer& optimizer) override;
  std::vector<Held> held() const override;
  std::vector<Carried> carried() const override;

 private:
  void update(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight) override;
  void publish(FlatParams& params) override;
  bool is_narrow() const { return residual_.elements > 0; }
  // On a narrow wire: what rounding has kept back of every parameter, added before the next update. One copy a node; the owner writes it.
  SharedMemory residual_memory_;
  Buffer residual_;
  Tensor before_;  // parameters before the update
  DomainCopies copies_;
  std::vector<Bucket> buckets_;
  std::vector<Share> elsewhere_;  // what ranks of other nodes own
  std::vector<Share> arriving_;   // what publish() has this rank write of the parameters, where there are several nodes
};

}  // namespace chorale
