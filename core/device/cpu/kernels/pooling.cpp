// Pooling of images that lie channels-last: the innermost loop runs over channels. And the transposition that turns them channels-first.
#include <chorale/core/device/cpu/kernels/isa.hpp>

namespace chorale::CHORALE_ISA {

namespace {

struct Span {
  int64_t first, end;  // of the image
  int64_t whole;       // of the window, padding included
};

/// Where window i lies in one dimension, clipped to the image.
Span span_of(int64_t i, int64_t n, int64_t out, int64_t window, int64_t stride, int64_t pad, bool is_adaptive) {
  if (is_adaptive) {
    const int64_t first = i * n / out, end = ((i + 1) * n + out - 1) / out;
    return {first, end, end - first};
  }
  const int64_t start = i * stride - pad, stop = start + window < n + pad ? start + window : n + pad;
  return {start < 0 ? 0 : start, stop > n ? n : stop, stop - start};
}

Span rows_of(const PoolExtents& e, int64_t i) { return span_of(i, e.height, e.out_height, e.window_h, e.stride_h, e.pad_h, e.is_adaptive); }
Span cols_of(const PoolExtents& e, int64_t j) { return span_of(j, e.width, e.out_width, e.window_w, e.stride_w, e.pad_w, e.is_adaptive); }

/// f(image, place of the result in its image, rows, cols) for each window.
template <class F>
void each_window(const PoolExtents& e, F f) {
  for (int64_t n = 0; n < e.images; ++n)
    for (int64_t i = 0; i < e.out_height; ++i)
      for (int64_t j = 0; j < e.out_width; ++j) f(n, i * e.out_width + j, rows_of(e, i), cols_of(e, j));
}

template <class T>
void max_pool(const MaxPool<T>& p) {
  const PoolExtents& e = p.e;
  const int64_t channels = e.channels;
  each_window(e, [&](int64_t n, int64_t place, Span rows, Span cols) {
    const T* image = p.x + n * e.height * e.width * channels;
    T* y = p.y + (n * e.out_height * e.out_width + place) * channels;
    int32_t* at = p.at ? p.at + (n * e.out_height * e.out_width + place) * channels : nullptr;
    bool is_first = true;
    for (int64_t r = rows.first; r < rows.end; ++r)
      for (int64_t c = cols.first; c < cols.end; ++c) {
        const T* x = image + (r * e.width + c) * channels;
        const int32_t here = static_cast<int32_t>(r * e.width + c);
        if (is_first) {
          for (int64_t k = 0; k < channels; ++k) y[k] = x[k];
          if (at)
            for (int64_t k = 0; k < channels; ++k) at[k] = here;
        } else if (at) {
#pragma GCC ivdep
          for (int64_t k = 0; k < channels; ++k) {
            const bool is_new = x[k] > y[k] || x[k] != x[k];
            y[k] = is_new ? x[k] : y[k];
            at[k] = is_new ? here : at[k];
          }
        } else {
#pragma GCC ivdep
          for (int64_t k = 0; k < channels; ++k) y[k] = x[k] > y[k] || x[k] != x[k] ? x[k] : y[k];
        }
        is_first = false;
      }
  });
}

template <class T>
void clear(T* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = 0;
}

template <class T>
void max_pool_gradient(const MaxPoolGradient<T>& p) {
  const PoolExtents& e = p.e;
  const int64_t channels = e.channels, image = e.height * e.width * channels, results = e.out_height * e.out_width;
  for (int64_t n = 0; n < e.images; ++n) {
    T* dx = p.dx + n * image;
    clear(dx, image);
    for (int64_t place = 0; place < results; ++place) {
      const T* dy = p.dy + (n * results + place) * channels;
      const int32_t* at = p.at + (n * results + place) * channels;
      for (int64_t k = 0; k < channels; ++k) dx[at[k] * channels + k] += dy[k];
    }
  }
}

template <class T>
T divisor(const PoolExtents& e, Span rows, Span cols) {
  return static_cast<T>(e.counts_padding ? rows.whole * cols.whole : (rows.end - rows.first) * (cols.end - cols.first));
}

template <class T>
void average_pool(const AveragePool<T>& p) {
  const PoolExtents& e = p.e;
  const int64_t channels = e.channels;
  each_window(e, [&](int64_t n, int64_t place, Span rows, Span cols) {
    T* y = p.y + (n * e.out_height * e.out_width + place) * channels;
    clear(y, channels);
    for (int64_t r = rows.first; r < rows.end; ++r)
      for (int64_t c = cols.first; c < cols.end; ++c) {
        const T* x = p.x + ((n * e.height + r) * e.width + c) * channels;
#pragma GCC ivdep
        for (int64_t k = 0; k < channels; ++k) y[k] += x[k];
      }
    const T d = divisor<T>(e, rows, cols);
#pragma GCC ivdep
    for (int64_t k = 0; k < channels; ++k) y[k] /= d;
  });
}

template <class T>
void average_pool_gradient(const AveragePoolGradient<T>& p) {
  const PoolExtents& e = p.e;
  const int64_t channels = e.channels;
  clear(p.dx, e.images * e.height * e.width * channels);
  each_window(e, [&](int64_t n, int64_t place, Span rows, Span cols) {
    const T* dy = p.dy + (n * e.out_height * e.out_width + place) * channels;
    const T d = divisor<T>(e, rows, cols);
    for (int64_t r = rows.first; r < rows.end; ++r)
      for (int64_t c = cols.first; c < cols.end; ++c) {
        T* dx = p.dx + ((n * e.height + r) * e.width + c) * channels;
#pragma GCC ivdep
        for (int64_t k = 0; k < channels; ++k) dx[k] += dy[k] / d;
      }
  });
}

template <class T>
void transpose(const Transposition<T>& p) {
  constexpr int64_t kTile = 16;
  for (int64_t b = 0; b < p.blocks; ++b) {
    const T* x = p.x + b * p.rows * p.cols;
    T* y = p.y + b * p.rows * p.cols;
    for (int64_t r0 = 0; r0 < p.rows; r0 += kTile)
      for (int64_t c0 = 0; c0 < p.cols; c0 += kTile) {
        const int64_t r1 = r0 + kTile < p.rows ? r0 + kTile : p.rows, c1 = c0 + kTile < p.cols ? c0 + kTile : p.cols;
        for (int64_t c = c0; c < c1; ++c)
          for (int64_t r = r0; r < r1; ++r) y[c * p.rows + r] = x[r * p.cols + c];
      }
  }
}

}  // namespace

template <class T>
void fill_pooling(TypedKernels<T>& k) {
  k.max_pool = max_pool<T>;
  k.max_pool_gradient = max_pool_gradient<T>;
  k.average_pool = average_pool<T>;
  k.average_pool_gradient = average_pool_gradient<T>;
  k.transpose = transpose<T>;
}
template void fill_pooling(TypedKernels<float>&);
template void fill_pooling(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
