// Batch normalisation: statistics by channel over all rows. Without fast-math, so that NaN goes through the relu; every sum runs over rows
// in order, in lanes of its own, so nothing needs to be reordered to be vectorised.
// Source of the gradient: Ioffe & Szegedy, "Batch normalization", ICML 2015.
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

constexpr int64_t kLanes = 64;     // channels, or channels of several rows beside each other, that are worked on together
constexpr int64_t kRowsInT = 128;  // summed in T before the sum goes on in double

/// How [rows, channels] is walked: `width` neighbouring lanes, which are `copies` rows where channels are few.
struct Lanes {
  int64_t first, width, copies, channels;
  int64_t channel(int64_t lane) const { return first + (copies > 1 ? lane % channels : lane); }
};

/// f(Lanes, strides of whole walks, rows that a walk takes) for every run of channels; then the rows that are left over, one at a time.
template <class F>
void each_lanes(int64_t rows, int64_t channels, F f) {
  const int64_t copies = channels <= kLanes ? kLanes / channels : 1;
  if (channels <= kLanes) {
    f(Lanes{0, channels * copies, copies, channels}, int64_t{0}, rows / copies);
    if (const int64_t done = rows / copies * copies; done < rows) f(Lanes{0, channels, 1, channels}, done, rows - done);
    return;
  }
  for (int64_t c = 0; c < channels; c += kLanes) {
    const int64_t width = channels - c < kLanes ? channels - c : kLanes;
    f(Lanes{c, width, 1, channels}, int64_t{0}, rows);
  }
}

/// g(i, lane) for every walk and lane; full lanes have a width that the compiler knows.
template <class G>
CHORALE_BOTH void walk(const Lanes& l, G g) {
  if (l.width == kLanes) {
#pragma GCC ivdep
    for (int64_t k = 0; k < kLanes; ++k) g(k);
  } else {
#pragma GCC ivdep
    for (int64_t k = 0; k < l.width; ++k) g(k);
  }
}

template <class T>
T inverse_deviation(T variance, double eps) {
  return static_cast<T>(1 / functors::f_sqrt(static_cast<double>(variance) + eps));
}

template <class T>
void channel_moments(const ChannelMoments<T>& p) {
  if (p.rows == 0) return;
  double total[kLanes], squares[kLanes];
  const auto finish = [&](int64_t first, int64_t width) {
    const double rows = static_cast<double>(p.rows);
    for (int64_t c = 0; c < width; ++c) {
      const double shift = total[c] / rows, m2 = squares[c] - total[c] * shift;
      p.mean[first + c] = static_cast<T>(static_cast<double>(p.x[first + c]) + shift);
      p.variance[first + c] = static_cast<T>(m2 > 0 ? m2 / rows : m2 * 0);  // NaN stays
    }
  };
  const auto begin = [&] {
    for (int64_t c = 0; c < kLanes; ++c) total[c] = 0, squares[c] = 0;
  };
  begin();
  each_lanes(p.rows, p.channels, [&](const Lanes& l, int64_t row, int64_t walks) {
    if (p.channels > kLanes) begin();
    T around[kLanes];  // the first row: what cancels is small beside the deviation
    for (int64_t k = 0; k < l.width; ++k) around[k] = p.x[l.channel(k)];
    const int64_t step = p.channels * l.copies;
    const T* x = p.x + row * p.channels + l.first;
    for (int64_t i = 0; i < walks;) {
      const int64_t last = i + kRowsInT < walks ? i + kRowsInT : walks;
      T s1[kLanes] = {}, s2[kLanes] = {};
      for (; i < last; ++i, x += step)
        walk(l, [&](int64_t k) {
          const T d = x[k] - around[k];
          s1[k] += d, s2[k] += d * d;
        });
      for (int64_t k = 0; k < l.width; ++k) {
        const int64_t c = l.channel(k) - l.first;
        total[c] += static_cast<double>(s1[k]), squares[c] += static_cast<double>(s2[k]);
      }
    }
    if (p.channels > kLanes) finish(l.first, l.width);
  });
  if (p.channels <= kLanes) finish(0, p.channels);
}

template <class T>
void channel_norm(const ChannelNorm<T>& p) {
  each_lanes(p.rows, p.channels, [&](const Lanes& l, int64_t row, int64_t walks) {
    T mean[kLanes], scale[kLanes], shift[kLanes];
    for (int64_t k = 0; k < l.width; ++k) {
      const int64_t c = l.channel(k);
      mean[k] = p.mean[c];
      scale[k] = inverse_deviation(p.variance[c], p.eps) * (p.gamma ? p.gamma[c] : T(1));
      shift[k] = p.beta ? p.beta[c] : T(0);
    }
    const int64_t step = p.channels * l.copies, at = row * p.channels + l.first;
    const auto run = [&](auto f) {
      for (int64_t i = 0; i < walks; ++i) {
        const int64_t from = at + i * step;
        const T* x = p.x + from;
        T* y = p.y + from;
        const T* addend = p.addend ? p.addend + from : nullptr;
        walk(l, [&](int64_t k) { y[k] = f((x[k] - mean[k]) * scale[k] + shift[k], addend, k); });
      }
    };
    const auto relu = [](T v) { return v < T(0) ? T(0) : v; };
    if (p.addend && p.has_relu)
      run([&](T v, const T* a, int64_t k) { return relu(v + a[k]); });
    else if (p.addend)
      run([&](T v, const T* a, int64_t k) { return v + a[k]; });
    else if (p.has_relu)
      run([&](T v, const T*, int64_t) { return relu(v); });
    else
      run([&](T v, const T*, int64_t) { return v; });
  });
}

template <class T>
void channel_norm_sums(const ChannelNormSums<T>& p) {
  for (int64_t c = 0; c < 2 * p.channels; ++c) p.sums[c] = 0;
  each_lanes(p.rows, p.channels, [&](const Lanes& l, int64_t row, int64_t walks) {
    T mean[kLanes], scale[kLanes];
    for (int64_t k = 0; k < l.width; ++k) {
      const int64_t c = l.channel(k);
      mean[k] = p.mean[c], scale[k] = inverse_deviation(p.variance[c], p.eps);
    }
    const int64_t step = p.channels * l.copies;
    int64_t at = row * p.channels + l.first;
    for (int64_t i = 0; i < walks;) {
      const int64_t last = i + kRowsInT < walks ? i + kRowsInT : walks;
      T s1[kLanes] = {}, s2[kLanes] = {};
      for (; i < last; ++i, at += step) {
        const T *x = p.x + at, *y = p.y ? p.y + at : nullptr;
        T* dy = p.dy + at;
        if (y)
          walk(l, [&](int64_t k) {
            const T d = y[k] > T(0) ? dy[k] : T(0);
            dy[k] = d;
            s1[k] += d, s2[k] += d * ((x[k] - mean[k]) * scale[k]);
          });
        else
          walk(l, [&](int64_t k) { s1[k] += dy[k], s2[k] += dy[k] * ((x[k] - mean[k]) * scale[k]); });
      }
      for (int64_t k = 0; k < l.width; ++k) {
        const int64_t c = l.channel(k);
        p.sums[c] += static_cast<double>(s1[k]), p.sums[p.channels + c] += static_cast<double>(s2[k]);
      }
    }
  });
}

template <class T>
void channel_norm_gradient(const ChannelNormGradient<T>& p) {
  each_lanes(p.rows, p.channels, [&](const Lanes& l, int64_t row, int64_t walks) {
    T mean[kLanes], scale[kLanes], shift[kLanes], slope[kLanes];
    for (int64_t k = 0; k < l.width; ++k) {
      const int64_t c = l.channel(k);
      const double inverse = static_cast<double>(inverse_deviation(p.variance[c], p.eps));
      const double factor = inverse * (p.gamma ? static_cast<double>(p.gamma[c]) : 1.0), n = p.count;
      mean[k] = p.mean[c], scale[k] = static_cast<T>(factor);
      shift[k] = n > 0 ? static_cast<T>(factor * p.sums[c] / n) : T(0);
      slope[k] = n > 0 ? static_cast<T>(factor * inverse * p.sums[p.channels + c] / n) : T(0);
    }
    const int64_t step = p.channels * l.copies;
    int64_t at = row * p.channels + l.first;
    for (int64_t i = 0; i < walks; ++i, at += step) {
      const T *x = p.x + at, *dy = p.dy + at;
      T* dx = p.dx + at;
      walk(l, [&](int64_t k) { dx[k] = dy[k] * scale[k] - shift[k] - (x[k] - mean[k]) * slope[k]; });
    }
  });
}

}  // namespace

template <class T>
void fill_channel_norms(TypedKernels<T>& k) {
  k.channel_moments = channel_moments<T>;
  k.channel_norm = channel_norm<T>;
  k.channel_norm_sums = channel_norm_sums<T>;
  k.channel_norm_gradient = channel_norm_gradient<T>;
}
template void fill_channel_norms(TypedKernels<float>&);
template void fill_channel_norms(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
