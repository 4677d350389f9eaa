// Maps without transcendentals: no fast-math, so NaN goes where IEEE sends it.
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/functors.hpp>

namespace chorale::CHORALE_ISA {

namespace {

template <class T>
void fill(T* y, T value, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = value;
}

template <class T>
void binary(Binary op, const T* a, const T* b, T* c, int64_t n) {
  switch (op) {
    case Binary::add:
      for (int64_t i = 0; i < n; ++i) c[i] = a[i] + b[i];
      return;
    case Binary::subtract:
      for (int64_t i = 0; i < n; ++i) c[i] = a[i] - b[i];
      return;
    case Binary::multiply:
      for (int64_t i = 0; i < n; ++i) c[i] = a[i] * b[i];
      return;
    case Binary::divide:
      for (int64_t i = 0; i < n; ++i) c[i] = a[i] / b[i];
      return;
  }
}

template <class T>
void axpy(T a, const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

template <class T>
void approach(T share, const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += share * (x[i] - y[i]);
}

template <class T>
void add_rows(T* y, const T* bias, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    T* row = y + r * cols;
    for (int64_t c = 0; c < cols; ++c) row[c] += bias[c];
  }
}

template <class T>
void column_sums(const T* x, T* __restrict sums, int64_t rows, int64_t cols, bool accumulate) {
  if (!accumulate)
    for (int64_t c = 0; c < cols; ++c) sums[c] = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = x + r * cols;
    for (int64_t c = 0; c < cols; ++c) sums[c] += row[c];
  }
}

template <class T>
void row_vector(const T* x, const T* w, T* y, int64_t rows, int64_t cols, T bias) {
  constexpr int kLanes = 16;
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = x + r * cols;
    T lane[kLanes] = {};
    int64_t c = 0;
    for (; c + kLanes <= cols; c += kLanes)
      for (int l = 0; l < kLanes; ++l) lane[l] += row[c + l] * w[c + l];
    for (int l = 0; c < cols; ++c, ++l) lane[l] += row[c] * w[c];
    for (int half = kLanes / 2; half; half /= 2)
      for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
    y[r] = lane[0] + bias;
  }
}

}  // namespace

template <class T>
void fill_elementwise(TypedKernels<T>& k) {
  k.fill = fill<T>;
  k.binary = binary<T>;
  k.axpy = axpy<T>;
  k.approach = approach<T>;
  k.add_rows = add_rows<T>;
  k.column_sums = column_sums<T>;
  k.row_vector = row_vector<T>;
}
template void fill_elementwise(TypedKernels<float>&);
template void fill_elementwise(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
