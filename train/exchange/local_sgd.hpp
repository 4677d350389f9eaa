// The `local_sgd` exchange: every rank takes parallel.local_steps updates on its own gradients, then parameters are averaged, weighted by
// the samples that each has seen; as an option the average is the target of an outer Nesterov step. Ranks meet once a round.
// Where replicas must be equal (evaluation, checkpoint, end) the round ends early; there, and where a run stops, the optimiser's state is
// averaged too. In a long round ranks ask each other every few steps whether anybody wants to stop; the question is on its way while they
// compute, and its answer is read at the next one, so all ranks end the round at the same step. On a narrow wire the round's differences of
// parameters travel in bf16, not the parameters. Source: Stich 2019 (local SGD); Douillard et al. 2023 (DiLoCo, the outer step).
#pragma once
#include <chorale/train/exchange/ordered_sum.hpp>

namespace chorale {

class LocalSgd final : public Exchange {
 public:
  /// Steps between questions. A stop request ends the round after at most twice as many, or with the round.
  static constexpr std::int64_t kStopEvery = 8;
  explicit LocalSgd(const ExchangeSetup& setup);
  std::span<const Buffer> begin() override { return targets_; }
  void bucket_ready(const Bucket&) override {}  // nothing leaves before the end of a round
  bool advance() override { return asks_ && !question_.done(); }
  StepOutcome step(FlatParams& params, Optimizer& optimizer, StepOrder order, std::span<const WorkerReport> reports,
                   const RankReport& mine) override;
  const std::vector<Phases>& phases() const override { return average_.phases(); }
  /// Of a step that ends a round without settling.
  std::uint64_t bytes_per_step() const override { return average_.bytes_per_step(); }
  void gather_state(Optimizer&) override {}  // settled: equal everywhere
  void release_state(Optimizer&) override {}
  std::vector<Carried> carried() const override;

 private:
  void update(FlatParams& params, Optimizer& optimizer, std::int64_t step);
  StepOutcome end_round(FlatParams& params, Optimizer& optimizer, StepOrder order, const RankReport& mine);
  /// What makes the round end because somebody wants to stop, equal on all ranks. Collective at fixed steps.
  Stop stops(std::int64_t step, bool ends, const RankReport& mine);
  /// `values` become the mean over all ranks, weighted by the samples of the round.
  StepOutcome average(Buffer values, std::int64_t step, const RankReport& mine);
  bool is_narrow() { return !average_.one_node() && average_.link().is_narrow(); }
  /// values += sign * parameters at the start of the round
  void add_start(Buffer values, int sign);
  void name_bad(StepOutcome& out);
  void outer_step(Buffer values);

  ExchangeSetup setup_;
  OrderedSum average_;  // of one contribution a rank
  std::vector<Tensor> gradients_;
  std::vector<Buffer> targets_;
  std::vector<const void*> bases_;
  double round_loss_ = 0, round_weight_ = 0, step_weight_ = 0;
  bool in_round_ = false, asks_ = false;  // asks_: a question is on its way
  std::int32_t stop_asked_ = 0;           // of the question
  Work question_;                         // after what it writes to: waited for before that goes
  std::int64_t bad_step_ = 0;             // 0: none in this round
  std::int64_t bad_worker_ = -1;
  Tensor start_;  // parameters at the start of the round, where there is an outer step or a narrow wire
  Tensor outer_;  // momentum of the outer step
};

}  // namespace chorale
