// How gradients of several tasks for the same parameters become one: weights, weights by uncertainty, and the removal of conflicts.
// Pure mathematics. Sources: Kendall, Gal & Cipolla, CVPR 2018; Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace chorale {

/// Adds the inner products of T gradients over one block of n elements, in f64: products [T, T]. gradients: T vectors one after the
/// other, `stride` elements apart.
template <class T>
void add_products(const T* gradients, std::int64_t stride, std::int64_t n, std::span<double> products, std::int64_t tasks);

/// What every task's gradient g_t is to be multiplied by, so that the sum is PCGrad's: each g_i loses its component along every g_j that it
/// conflicts with (negative inner product), the j in an order drawn by `key`, and the results are added with `weights`. Every projection is
/// a combination of the gradients as they were, so that their inner products [T, T] are all that is needed.
std::vector<double> pcgrad_factors(std::span<const double> products, std::span<const double> weights, std::uint64_t key);

/// A task's weight w = exp(-s), s being the logarithm of its variance, learnt by descent on w L + s / 2: a task with a large loss L counts
/// less. At rest w L = 1/2.
class UncertaintyWeight {
 public:
  explicit UncertaintyWeight(double lr) : lr_(lr) {}
  double weight() const;
  double log_variance() const { return s_; }
  /// loss: the task's mean loss of the step. s moves by at most 1 a step.
  void step(double loss);
  void restore(double log_variance) { s_ = log_variance; }

 private:
  double lr_, s_ = 0;
};

}  // namespace chorale
