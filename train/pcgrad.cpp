#include <chorale/train/pcgrad.hpp>

#include <numeric>
#include <utility>

#include <chorale/core/base/random.hpp>

namespace chorale {

namespace {

/// In f64, eight lanes, so that the order is one whatever the compiler makes of it.
template <class T>
double product(const T* a, const T* b, std::int64_t n) {
  double lanes[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int l = 0; l < 8; ++l) lanes[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
  for (int l = 0; i < n; ++i, ++l) lanes[l] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

}  // namespace

template <class T>
void add_products(std::span<const T* const> gradients, std::int64_t n, std::span<double> products) {
  const std::size_t tasks = gradients.size();
  for (std::size_t a = 0; a < tasks; ++a)
    for (std::size_t b = a; b < tasks; ++b) {
      const double along = product(gradients[a], gradients[b], n);
      products[a * tasks + b] += along;
      if (a != b) products[b * tasks + a] += along;
    }
}
template void add_products(std::span<const float* const>, std::int64_t, std::span<double>);
template void add_products(std::span<const double* const>, std::int64_t, std::span<double>);

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

}  // namespace chorale
