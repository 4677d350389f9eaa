// A step of an optimiser over an arena of one rank, block by block, as exchanges make it.
#pragma once
#include <vector>

#include <chorale/core/optim/optimizer.hpp>
#include <chorale/core/tensor/tensor.hpp>

namespace chorale {

/// Memory of an optimiser for an arena, laid out and bound.
struct OptimizerMemory {
  OptimizerMemory(Device& device, Optimizer& optimizer, std::vector<ArenaTensor> tensors, DType dtype) {
    const std::int64_t n = tensors.back().first + tensors.back().count;
    optimizer.lay_out(std::move(tensors), dtype);
    std::vector<Buffer> state;
    for (std::size_t i = 0; i < optimizer.state_names().size(); ++i)
      state.push_back(memory.emplace_back(Tensor::zeros(device, {n}, dtype)).buffer());
    optimizer.bind(state);
  }
  std::vector<Tensor> memory;
};

/// cut: of pieces that are handed over, for rules that do not care where blocks begin; the others get blocks.
template <class T>
void optimizer_step(const Device& device, Optimizer& optimizer, std::int64_t step, double scale, std::vector<T>& p, const std::vector<T>& g,
                    std::int64_t cut = Optimizer::kBlock) {
  const auto n = static_cast<std::int64_t>(p.size());
  const auto each = [&](std::int64_t size, auto&& f) {
    for (std::int64_t first = 0; first < n; first += size) f(first, std::min(size, n - first));
  };
  optimizer.begin_step(step, scale);
  if (optimizer.needs().sums > 0) {
    each(Optimizer::kBlock,
         [&](std::int64_t first, std::int64_t count) { optimizer.measure<T>(device, p.data() + first, g.data() + first, first, count); });
    optimizer.end_measuring();
  }
  if (optimizer.needs().whole) optimizer.see<T>(g.data());
  each(cut, [&](std::int64_t first, std::int64_t count) {
    const bool reads = optimizer.needs().gradient_again || optimizer.needs().sums == 0;
    optimizer.apply<T>(device, p.data() + first, reads ? g.data() + first : nullptr, first, count);
  });
}

}  // namespace chorale
