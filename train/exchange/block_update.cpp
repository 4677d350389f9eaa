#include <chorale/train/exchange/block_update.hpp>

namespace chorale {

void BlockUpdate::keep(const FlatParams& params, const Optimizer& optimizer, std::int64_t first, std::int64_t n) {
  snapshot_.before_write(params.values().part(first, n));
  for (const Buffer& state : optimizer.state()) snapshot_.before_write(state.part(first, n));
}

double BlockUpdate::clip_factor(double limit) {
  // Every block has one owner, the others add an exact 0.
  if (among_ && among_->size() > 1) among_->all_reduce(buffer_of(std::span(squares_)), Reduce::sum, "squares of gradients").wait();
  double squares = 0;
  for (const double block : squares_) squares += block;
  const double norm = std::sqrt(squares);
  return norm > limit ? limit / (norm + 1e-6) : 1;
}

void BlockUpdate::end_measuring(Optimizer& optimizer) {
  if (among_ && among_->size() > 1) among_->all_reduce(buffer_of(optimizer.partial_sums()), Reduce::sum, "sums over tensors").wait();
  optimizer.end_measuring();
}

void BlockUpdate::spread_kept() {
  if (among_ && among_->size() > 1) among_->all_reduce(kept_.buffer(), Reduce::sum, "gradients for all").wait();
}

}  // namespace chorale
