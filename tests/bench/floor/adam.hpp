// Sum of all ranks' gradients and Adam in one pass. Kingma & Ba 2015, algorithm 1, with PyTorch's defaults.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace chorale::bench {

struct AdamState {
  float *p, *m, *v;
};

struct AdamScale {
  AdamScale(int step, double samples)  // step counts from 1
      : gradient(static_cast<float>(1 / samples)),
        m(static_cast<float>(1 / (1 - std::pow(0.9, step)))),
        v(static_cast<float>(1 / (1 - std::pow(0.999, step)))) {}
  float gradient, m, v;
};

template <class Gradient>
inline void adam_loop(const AdamState& s, const AdamScale& scale, std::size_t first, std::size_t end, const Gradient& gradient) {
  for (std::size_t j = first; j < end; ++j) {
    const float g = gradient(j) * scale.gradient;
    s.m[j] = 0.9f * s.m[j] + 0.1f * g;
    s.v[j] = 0.999f * s.v[j] + 0.001f * g * g;
    s.p[j] -= 1e-3f * (s.m[j] * scale.m) / (std::sqrt(s.v[j] * scale.v) + 1e-8f);
  }
}

/// Elements [first, end) of the parameters, from the gradients of every rank.
inline void adam(const AdamState& s, const AdamScale& scale, std::span<float* const> g, std::size_t first, std::size_t end) {
  const float *g0 = g[0], *g1 = g[g.size() > 1 ? 1 : 0];
  if (g.size() == 1) return adam_loop(s, scale, first, end, [=](std::size_t j) { return g0[j]; });
  if (g.size() == 2) return adam_loop(s, scale, first, end, [=](std::size_t j) { return g0[j] + g1[j]; });
  constexpr std::size_t kBlock = 1024;  // stays in the L1 cache
  alignas(64) float sum[kBlock];
  for (std::size_t at = first; at < end; at += kBlock) {
    const std::size_t n = std::min(kBlock, end - at);
    for (std::size_t j = 0; j < n; ++j) sum[j] = g0[at + j] + g1[at + j];
    for (const float* more : g.subspan(2))
      for (std::size_t j = 0; j < n; ++j) sum[j] += more[at + j];
    adam_loop(s, scale, at, at + n, [&](std::size_t j) { return sum[j - at]; });
  }
}

}  // namespace chorale::bench
