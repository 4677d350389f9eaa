// Gradients of several tasks for the same parameters that conflict: each loses what points against another's. Pure mathematics.
// Source: Yu, Kumar, Gupta, Levine, Hausman, Finn, "Gradient Surgery for Multi-Task Learning", NeurIPS 2020.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace chorale {

/// Adds the inner products of T gradients over n elements to products [T, T], in f64 and in one order whatever the compiler makes of it.
template <class T>
void add_products(std::span<const T* const> gradients, std::int64_t n, std::span<double> products);

/// What every task's gradient g_t is to be multiplied by, so that the sum is PCGrad's: each g_i loses its component along every g_j that it
/// conflicts with (negative inner product), the j in an order drawn by `key`, and the results are added with `weights`, [T]. Every
/// projection is a combination of the gradients as they were, so that their inner products [T, T] are all that is needed.
std::vector<double> pcgrad_factors(std::span<const double> products, std::span<const double> weights, std::uint64_t key);

}  // namespace chorale
