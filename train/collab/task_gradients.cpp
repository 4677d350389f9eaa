#include <chorale/train/collab/task_gradients.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <chorale/core/base/random.hpp>

namespace chorale {

template <class T>
void add_products(const T* gradients, std::int64_t stride, std::int64_t n, std::span<double> products, std::int64_t tasks) {
  for (std::int64_t a = 0; a < tasks; ++a)
    for (std::int64_t b = a; b < tasks; ++b) {
      const T *x = gradients + a * stride, *y = gradients + b * stride;
      double sum = 0;
      for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
      products[static_cast<std::size_t>(a * tasks + b)] += sum;
      if (a != b) products[static_cast<std::size_t>(b * tasks + a)] += sum;
    }
}
template void add_products(const float*, std::int64_t, std::int64_t, std::span<double>, std::int64_t);
template void add_products(const double*, std::int64_t, std::int64_t, std::span<double>, std::int64_t);

std::vector<double> pcgrad_factors(std::span<const double> products, std::span<const double> weights, std::uint64_t key) {
  const std::size_t tasks = weights.size();
  std::vector<double> total(tasks, 0);
  for (std::size_t i = 0; i < tasks; ++i) {
    std::vector<double> c(tasks, 0);  // g_i as it is now, in terms of the gradients as they were
    c[i] = 1;
    std::vector<std::size_t> order(tasks);
    std::iota(order.begin(), order.end(), std::size_t{0});
    RandomStream random(mix(key, i));
    for (std::size_t n = tasks; n > 1; --n) std::swap(order[n - 1], order[random.below(n)]);
    for (const std::size_t j : order) {
      const double length = products[j * tasks + j];
      double along = 0;
      for (std::size_t k = 0; k < tasks; ++k) along += c[k] * products[k * tasks + j];
      if (j != i && along < 0 && length > 0) c[j] -= along / length;
    }
    for (std::size_t k = 0; k < tasks; ++k) total[k] += weights[i] * c[k];
  }
  return total;
}

double UncertaintyWeight::weight() const { return std::exp(-s_); }

void UncertaintyWeight::step(double loss) { s_ -= std::clamp(lr_ * (0.5 - weight() * loss), -1.0, 1.0); }

}  // namespace chorale
