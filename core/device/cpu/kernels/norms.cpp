// Normalisation over groups of channels, with -ffast-math (see transcendental.cpp): sums of squares of what lies around the mean, in two
// passes over a group that is in the cache. Source of the gradient: Ba, Kiros & Hinton, "Layer normalization", 2016.
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

/// f(group, x of its first channel at place 0, first channel) for each group of each row.
template <class F>
void each_norm_group(const NormExtents& e, F f) {
  const int64_t width = e.channels / e.groups;
  for (int64_t r = 0; r < e.rows; ++r)
    for (int64_t g = 0; g < e.groups; ++g) f(r * e.groups + g, r * e.places * e.channels + g * width, g * width);
}

template <class T>
void norm(const Norm<T>& p) {
  const NormExtents& e = p.e;
  const int64_t width = e.channels / e.groups;
  const T n = static_cast<T>(e.places * width);
  each_norm_group(e, [&](int64_t group, int64_t at, int64_t channel) {
    const T* x = p.x + at;
    T mean = 0;
    if (e.is_centred) {
      for (int64_t s = 0; s < e.places; ++s)
        for (int64_t c = 0; c < width; ++c) mean += x[s * e.channels + c];
      mean /= n;
    }
    T squares = 0;
    for (int64_t s = 0; s < e.places; ++s)
      for (int64_t c = 0; c < width; ++c) squares += (x[s * e.channels + c] - mean) * (x[s * e.channels + c] - mean);
    const T scale = static_cast<T>(1 / functors::f_sqrt(static_cast<double>(squares / n) + e.eps));
    p.stats[2 * group] = mean, p.stats[2 * group + 1] = scale;
    T* y = p.y + at;
    const T *gamma = p.gamma ? p.gamma + channel : nullptr, *beta = p.beta ? p.beta + channel : nullptr;
    for (int64_t s = 0; s < e.places; ++s) {
      const T* from = x + s * e.channels;
      T* to = y + s * e.channels;
      if (gamma && beta) {
#pragma GCC ivdep
        for (int64_t c = 0; c < width; ++c) to[c] = (from[c] - mean) * scale * gamma[c] + beta[c];
      } else if (gamma) {
#pragma GCC ivdep
        for (int64_t c = 0; c < width; ++c) to[c] = (from[c] - mean) * scale * gamma[c];
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < width; ++c) to[c] = (from[c] - mean) * scale;
      }
    }
  });
}

template <class T>
void clear_unless(bool accumulate, T* x, int64_t n) {
  if (!x || accumulate) return;
  for (int64_t i = 0; i < n; ++i) x[i] = 0;
}

template <class T>
void norm_gradient(const NormGradient<T>& p) {
  const NormExtents& e = p.e;
  const int64_t width = e.channels / e.groups;
  const T n = static_cast<T>(e.places * width);
  clear_unless(p.accumulate_gamma, p.dgamma, e.channels);
  clear_unless(p.accumulate_beta, p.dbeta, e.channels);
  each_norm_group(e, [&](int64_t group, int64_t at, int64_t channel) {
    const T mean = p.stats[2 * group], scale = p.stats[2 * group + 1];
    const T* gamma = p.gamma ? p.gamma + channel : nullptr;
    T sum = 0, along = 0;  // of dy gamma, and of dy gamma times the normalised x
    for (int64_t s = 0; s < e.places; ++s) {
      const T *x = p.x + at + s * e.channels, *dy = p.dy + at + s * e.channels;
      if (gamma) {
        for (int64_t c = 0; c < width; ++c) sum += dy[c] * gamma[c], along += dy[c] * gamma[c] * ((x[c] - mean) * scale);
      } else {
        for (int64_t c = 0; c < width; ++c) sum += dy[c], along += dy[c] * ((x[c] - mean) * scale);
      }
      if (p.dgamma) {
        T* to = p.dgamma + channel;
#pragma GCC ivdep
        for (int64_t c = 0; c < width; ++c) to[c] += dy[c] * ((x[c] - mean) * scale);
      }
      if (p.dbeta) {
        T* to = p.dbeta + channel;
#pragma GCC ivdep
        for (int64_t c = 0; c < width; ++c) to[c] += dy[c];
      }
    }
    const T shift = e.is_centred ? sum / n : T(0), slope = along / n;
    for (int64_t s = 0; s < e.places; ++s) {
      const T *x = p.x + at + s * e.channels, *dy = p.dy + at + s * e.channels;
      T* dx = p.dx + at + s * e.channels;
      if (gamma) {
#pragma GCC ivdep
        for (int64_t c = 0; c < width; ++c) dx[c] = scale * (dy[c] * gamma[c] - shift - (x[c] - mean) * scale * slope);
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < width; ++c) dx[c] = scale * (dy[c] - shift - (x[c] - mean) * scale * slope);
      }
    }
  });
}

}  // namespace

template <class T>
void fill_norms(TypedKernels<T>& k) {
  k.norm = norm<T>;
  k.norm_gradient = norm_gradient<T>;
}
template void fill_norms(TypedKernels<float>&);
template void fill_norms(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
