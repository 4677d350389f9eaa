// What `replicated`, `shared` and `sharded` have in common: one agreed gradient, updated block by block by whoever owns it, then published.
// They differ in who owns which blocks and in how the others come to see the new parameters.
#pragma once
#include <chorale/train/exchange/block_update.hpp>
#include <chorale/train/exchange/ordered_sum.hpp>

namespace chorale {

class BlockExchange : public Exchange {
 public:
  std::span<const Buffer> begin() override { return sum_.begin(); }
  void bucket_ready(const Bucket& bucket) override { sum_.bucket_ready(bucket); }
  bool advance() override { return sum_.advance(); }
  StepOutcome step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                   const RankReport& mine) final;
  const std::vector<Phases>& phases() const override { return sum_.phases(); }
  std::uint64_t bytes_per_step() const override { return sum_.bytes_per_step(); }
  void gather_state(Optimizer&) override {}  // every node has it
  void release_state(Optimizer&) override {}
  std::vector<Carried> carried() const override { return {}; }

 protected:
  struct Ownership {
    std::vector<Share> parts;  // what this rank updates
    Communicator* among;       // whose parts together are the whole arena; null: one rank's are
  };
  BlockExchange(const ExchangeSetup& setup, OrderedSum::Options options, Ownership own)
      : comm_(setup.comm),
        sum_(setup, options),
        snapshot_(setup.snapshot),
        trace_(setup.trace),
        on_gradients_(setup.on_gradients),
        update_(std::move(own.parts), own.among, setup.snapshot, seen()) {}

  virtual void update(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight);
  /// Afterwards all ranks may read the new parameters and write the next gradients. Collective.
  virtual void publish(FlatParams& params) = 0;

  Communicator& comm_;
  OrderedSum sum_;
  Snapshot& snapshot_;

 private:
  OnGradients seen() {
    if (!on_gradients_) return {};
    return [this](GradientView& gradient) { gradient.loss = mean_loss_, on_gradients_(gradient); };
  }
  Trace* trace_;
  OnGradients on_gradients_;
  double mean_loss_ = 0;
  BlockUpdate update_;
};

}  // namespace chorale
