// Recurrent networks over time-major sequences, with -ffast-math (see transcendental.cpp): the weights of the recurrent product are packed
// once for all times, and the cell is one loop. Sources: Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 1997, with
// the forget gate of Gers et al. 2000; Cho et al. 2014 (gated recurrent unit), in PyTorch's form.
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/cpu/kernels/small_product.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

using namespace functors;

constexpr int64_t kDepth = 128;  // of a panel that one product goes through: it stays in the L1 cache

/// A matrix [k, n] as panels of columns, [panels, k, width].
template <class T>
struct Panels {
  static constexpr int64_t kWidth = 2 * VectorOf<T>::kLanes;
  T* packed;
  int64_t k, n;

  /// Element (i, j) lies at i * row + j * col of `from`.
  void pack(const T* from, int64_t row, int64_t col) const {
    for (int64_t j = 0; j < n; j += kWidth)
      for (int64_t i = 0; i < k; ++i)
        for (int64_t c = 0; c < kWidth; ++c) packed[j * k + i * kWidth + c] = j + c < n ? from[i * row + (j + c) * col] : T(0);
  }
  /// c [m, n] = or += a [m, k] times the matrix.
  void multiply(const T* a, T* c, int64_t m, bool accumulate) const {
    for (int64_t j = 0; j < n; j += kWidth)
      for (int64_t i = 0; i < k; i += kDepth)
        small_product<T>({.a = a + i,
                          .a_row = k,
                          .a_col = 1,
                          .b = packed + j * k + i * kWidth,
                          .b_row = kWidth,
                          .c = c + j,
                          .c_row = n,
                          .m = m,
                          .n = n - j < kWidth ? n - j : kWidth,
                          .k = k - i < kDepth ? k - i : kDepth,
                          .accumulate = accumulate || i > 0});
  }
};

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + f_exp(-x));
}

/// One row: gates i, f, g and o before their functions; after it with them.
template <class T>
void lstm_cell(T* gates, const T* c_before, T* c, T* h, int64_t n) {
  T *i = gates, *f = gates + n, *g = gates + 2 * n, *o = gates + 3 * n;
#pragma GCC ivdep
  for (int64_t u = 0; u < 2 * n; ++u) gates[u] = sigmoid(gates[u]);
#pragma GCC ivdep
  for (int64_t u = 0; u < n; ++u) g[u] = f_tanh(g[u]);
#pragma GCC ivdep
  for (int64_t u = 0; u < n; ++u) o[u] = sigmoid(o[u]);
  if (c_before) {
#pragma GCC ivdep
    for (int64_t u = 0; u < n; ++u) c[u] = f[u] * c_before[u] + i[u] * g[u];
  } else {
#pragma GCC ivdep
    for (int64_t u = 0; u < n; ++u) c[u] = i[u] * g[u];
  }
#pragma GCC ivdep
  for (int64_t u = 0; u < n; ++u) h[u] = o[u] * f_tanh(c[u]);
}

template <class T>
void lstm(const Recurrent<T>& p) {
  const int64_t n = p.e.hidden, state = p.e.batch * n;
  const Panels<T> panels{p.scratch, n, 4 * n};
  panels.pack(p.w, 1, n);
  for (int64_t t = 0; t < p.e.time; ++t) {
    T* gates = p.gates + t * 4 * state;
    if (t > 0) panels.multiply(p.h + (t - 1) * state, gates, p.e.batch, true);
    for (int64_t b = 0; b < p.e.batch; ++b) {
      const int64_t at = t * state + b * n;
      lstm_cell(gates + b * 4 * n, t > 0 ? p.kept + at - state : nullptr, p.kept + at, p.h + at, n);
    }
  }
}

/// dh and dc of one row in, dgates and the dc of the time before out.
template <class T>
void lstm_cell_gradient(const T* gates, const T* c_before, const T* c, const T* dh, T* dc, T* dgates, int64_t n) {
  const T *i = gates, *f = gates + n, *g = gates + 2 * n, *o = gates + 3 * n;
  T *di = dgates, *df = dgates + n, *dg = dgates + 2 * n, *d_o = dgates + 3 * n;
#pragma GCC ivdep
  for (int64_t u = 0; u < n; ++u) {
    const T bent = f_tanh(c[u]), sum = dc[u] + dh[u] * o[u] * (T(1) - bent * bent);
    d_o[u] = dh[u] * bent * o[u] * (T(1) - o[u]);
    di[u] = sum * g[u] * i[u] * (T(1) - i[u]);
    dg[u] = sum * i[u] * (T(1) - g[u] * g[u]);
    df[u] = sum * (c_before ? c_before[u] : T(0)) * f[u] * (T(1) - f[u]);
    dc[u] = sum * f[u];
  }
}

template <class T>
void lstm_gradient(const RecurrentGradient<T>& p) {
  const int64_t n = p.e.hidden, state = p.e.batch * n;
  const Panels<T> panels{p.scratch, 4 * n, n};
  panels.pack(p.w, n, 1);
  T* dh = p.scratch + recurrent_panels(4, n);
  T* dc = dh + state;
  for (int64_t k = 0; k < state; ++k) dh[k] = 0, dc[k] = 0;
  for (int64_t t = p.e.time - 1; t >= 0; --t) {
    const T* dy = p.dy + t * state;
#pragma GCC ivdep
    for (int64_t k = 0; k < state; ++k) dh[k] += dy[k];
    for (int64_t b = 0; b < p.e.batch; ++b) {
      const int64_t at = t * state + b * n;
      lstm_cell_gradient(p.gates + 4 * at, t > 0 ? p.kept + at - state : nullptr, p.kept + at, dh + b * n, dc + b * n, p.dgates + 4 * at,
                         n);
    }
    if (t > 0) panels.multiply(p.dgates + t * 4 * state, dh, p.e.batch, false);
  }
}

/// One row: gates r, z and n of x in, with their functions out; hidden: what h gives to each, of which n's is kept.
template <class T>
void gru_cell(T* gates, const T* hidden, const T* h_before, T* kept, T* h, int64_t n) {
  T *r = gates, *z = gates + n, *fresh = gates + 2 * n;
#pragma GCC ivdep
  for (int64_t u = 0; u < 2 * n; ++u) gates[u] = sigmoid(gates[u] + hidden[u]);
#pragma GCC ivdep
  for (int64_t u = 0; u < n; ++u) {
    kept[u] = hidden[2 * n + u];
    fresh[u] = f_tanh(fresh[u] + r[u] * kept[u]);
    h[u] = (T(1) - z[u]) * fresh[u] + (h_before ? z[u] * h_before[u] : T(0));
  }
}

template <class T>
void gru(const Recurrent<T>& p) {
  const int64_t n = p.e.hidden, state = p.e.batch * n;
  const Panels<T> panels{p.scratch, n, 3 * n};
  panels.pack(p.w, 1, n);
  T* hidden = p.scratch + recurrent_panels(3, n);
  for (int64_t t = 0; t < p.e.time; ++t) {
    for (int64_t b = 0; b < p.e.batch; ++b)
      for (int64_t u = 0; u < 3 * n; ++u) hidden[b * 3 * n + u] = p.hidden_bias ? p.hidden_bias[u] : T(0);
    if (t > 0) panels.multiply(p.h + (t - 1) * state, hidden, p.e.batch, true);
    for (int64_t b = 0; b < p.e.batch; ++b) {
      const int64_t at = t * state + b * n;
      gru_cell(p.gates + 3 * at, hidden + b * 3 * n, t > 0 ? p.h + at - state : nullptr, p.kept + at, p.h + at, n);
    }
  }
}

/// dh of one row in, what of it goes straight to the time before out.
template <class T>
void gru_cell_gradient(const T* gates, const T* kept, const T* h_before, T* dh, T* dgates, T* dhidden, int64_t n) {
  const T *r = gates, *z = gates + n, *fresh = gates + 2 * n;
#pragma GCC ivdep
  for (int64_t u = 0; u < n; ++u) {
    const T before = h_before ? h_before[u] : T(0);
    const T dn = dh[u] * (T(1) - z[u]) * (T(1) - fresh[u] * fresh[u]), dz = dh[u] * (before - fresh[u]) * z[u] * (T(1) - z[u]);
    const T dr = dn * kept[u] * r[u] * (T(1) - r[u]);
    dgates[u] = dr, dgates[n + u] = dz, dgates[2 * n + u] = dn;
    dhidden[u] = dr, dhidden[n + u] = dz, dhidden[2 * n + u] = dn * r[u];
    dh[u] *= z[u];
  }
}

template <class T>
void gru_gradient(const RecurrentGradient<T>& p) {
  const int64_t n = p.e.hidden, state = p.e.batch * n;
  const Panels<T> panels{p.scratch, 3 * n, n};
  panels.pack(p.w, n, 1);
  T* dh = p.scratch + recurrent_panels(3, n);
  for (int64_t k = 0; k < state; ++k) dh[k] = 0;
  for (int64_t t = p.e.time - 1; t >= 0; --t) {
    const T* dy = p.dy + t * state;
#pragma GCC ivdep
    for (int64_t k = 0; k < state; ++k) dh[k] += dy[k];
    for (int64_t b = 0; b < p.e.batch; ++b) {
      const int64_t at = t * state + b * n;
      gru_cell_gradient(p.gates + 3 * at, p.kept + at, t > 0 ? p.h + at - state : nullptr, dh + b * n, p.dgates + 3 * at,
                        p.dhidden + 3 * at, n);
    }
    if (t > 0) panels.multiply(p.dhidden + t * 3 * state, dh, p.e.batch, true);
  }
}

template <class T>
void swap_rows(const SwappedRows<T>& p) {
  for (int64_t j = 0; j < p.inner; ++j)
    for (int64_t i = 0; i < p.outer; ++i) {
      const T* x = p.x + (i * p.inner + j) * p.cols;
      T* y = p.y + (j * p.outer + i) * p.cols;
      for (int64_t c = 0; c < p.cols; ++c) y[c] = x[c];
    }
}

}  // namespace

template <class T>
void fill_recurrent(TypedKernels<T>& k) {
  k.lstm = lstm<T>;
  k.lstm_gradient = lstm_gradient<T>;
  k.gru = gru<T>;
  k.gru_gradient = gru_gradient<T>;
  k.swap_rows = swap_rows<T>;
}
template void fill_recurrent(TypedKernels<float>&);
template void fill_recurrent(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
