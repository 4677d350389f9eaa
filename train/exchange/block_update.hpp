// The pass over blocks that every exchange makes: sum a block, let the optimiser apply it while it lies in the L1 cache, next block. What
// needs more than a block first (clipping by global norm, rules that look at whole tensors) costs a second pass that feeds the same apply.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/sampler.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/optim/optimizer.hpp>
#include <chorale/train/gradient_view.hpp>
#include <chorale/train/snapshot.hpp>

namespace chorale {

/// One thread.
class BlockUpdate {
 public:
  /// parts: what this rank updates, in elements, beginning on borders of blocks. among: the ranks whose parts together are the whole arena;
  /// null where one rank's are. snapshot: is told before a block is overwritten.
  /// on_gradients: sees the whole sum before it is clipped and applied.
  BlockUpdate(std::vector<Share> parts, Communicator* among, Snapshot& snapshot, OnGradients on_gradients = {})
      : parts_(std::move(parts)), among_(among), snapshot_(snapshot), on_gradients_(std::move(on_gradients)) {}

  /// sum(first, n): the summed gradient of a block, valid until the next call. weight: the global sum of weights. Collective where
  /// clipping by norm is on, the rule needs more than a block, or somebody sees gradients.
  template <class T, class Sum>
  void run(FlatParams& params, Optimizer& optimizer, std::int64_t step, double weight, Sum&& sum) {
    double scale = weight > 0 ? 1 / weight : 0;
    T* values = params.values().template as<T>();
    const auto apply = [&](const T* gradient, std::int64_t first, std::int64_t n) {
      if (snapshot_.is_active()) keep(params, optimizer, first, n);
      optimizer.apply<T>(params.device(), values + first, gradient, first, n);
    };
    const UpdateNeeds& needs = optimizer.needs();
    const bool keeps = optimizer.clip_norm() > 0 || on_gradients_ || needs.gradient_again;
    if (!keeps && needs.sums == 0) {
      optimizer.begin_step(step, scale);
      return each_block([&](std::int64_t first, std::int64_t n) { apply(sum(first, n), first, n); });
    }
    if (keeps && !gather<T>(params, optimizer, step, scale, sum)) return;
    optimizer.begin_step(step, scale);
    const T* kept = keeps ? kept_.data<T>() : nullptr;
    if (needs.sums > 0) {
      each_block([&](std::int64_t first, std::int64_t n) {
        if (snapshot_.is_active()) keep(params, optimizer, first, n);
        optimizer.measure<T>(params.device(), values + first, kept ? kept + first : sum(first, n), first, n);
      });
      end_measuring(optimizer);
    }
    if (needs.whole) {
      if (!on_gradients_) spread_kept();
      if (snapshot_.is_active()) snapshot_.before_write(optimizer.own_state());
      optimizer.see<T>(kept);
    }
    each_block([&](std::int64_t first, std::int64_t n) { apply(kept ? kept + first : nullptr, first, n); });
  }

 private:
  /// Keeps the whole sum, shows it to who wants to see it, and works clipping by norm into the scale. False: the update is not made.
  template <class T, class Sum>
  bool gather(FlatParams& params, const Optimizer& optimizer, std::int64_t step, double& scale, Sum&& sum) {
    const bool clips = optimizer.clip_norm() > 0;
    if (!kept_.defined()) kept_ = Tensor::empty(params.device(), {params.trainable_elements()}, params.dtype());
    squares_.assign(static_cast<std::size_t>(params.blocks()), 0);
    T* kept = kept_.data<T>();
    const auto square = [&](std::int64_t first, std::int64_t n) {
      squares_[static_cast<std::size_t>(first / kBlockElements)] = params.device().typed<T>().sum_of_squares(kept + first, n, T(scale));
    };
    if (on_gradients_ || optimizer.needs().whole) std::fill_n(kept, kept_.elements(), T{0});
    each_block([&](std::int64_t first, std::int64_t n) {
      std::memcpy(kept + first, sum(first, n), static_cast<std::size_t>(n) * sizeof(T));
      if (clips && !on_gradients_) square(first, n);
    });
    if (on_gradients_) {
      spread_kept();
      GradientView view{.params = params, .sums = kept_.buffer(), .scale = scale, .step = step};
      on_gradients_(view);
      if (view.skips) return false;
      scale = view.scale;
      if (clips) each_block(square);
    }
    if (clips) scale *= clip_factor(optimizer.clip_norm());
    return true;
  }
  template <class F>
  void each_block(F&& f) const {
    for (const Share& part : parts_)
      for (std::int64_t first = part.first, last = part.first + part.count; first < last; first += kBlockElements)
        f(first, std::min(kBlockElements, last - first));
  }
  /// What a checkpoint needs of a block, before it is overwritten: then it lies in the cache already.
  void keep(const FlatParams& params, const Optimizer& optimizer, std::int64_t first, std::int64_t n);
  /// As torch.nn.utils.clip_grad_norm_; squares are added in the order of blocks, whoever owns them.
  double clip_factor(double limit);
  /// Every element has one owner: the others add an exact 0.
  void spread_kept();
  void end_measuring(Optimizer& optimizer);

  std::vector<Share> parts_;
  Communicator* among_;
  Snapshot& snapshot_;
  OnGradients on_gradients_;
  Tensor kept_;
  std::vector<double> squares_;
};

}  // namespace chorale
