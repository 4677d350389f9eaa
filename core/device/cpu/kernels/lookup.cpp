// Rows of a table by number, and the sum of what comes back for each of them: one order, so no bit depends on threads or ranks.
#include <chorale/core/device/cpu/kernels/isa.hpp>

namespace chorale::CHORALE_ISA {

namespace {

template <class T>
void lookup(const Lookup<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* from = p.table + p.ids[r] * p.cols;
    T* to = p.y + r * p.cols;
    for (int64_t c = 0; c < p.cols; ++c) to[c] = from[c];
  }
}

template <class T>
void lookup_gradient(const LookupGradient<T>& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* from = p.dy + r * p.cols;
    T* to = p.dtable + p.ids[r] * p.cols;
#pragma GCC ivdep
    for (int64_t c = 0; c < p.cols; ++c) to[c] += from[c];
  }
}

}  // namespace

template <class T>
void fill_lookup(TypedKernels<T>& k) {
  k.lookup = lookup<T>;
  k.lookup_gradient = lookup_gradient<T>;
}
template void fill_lookup(TypedKernels<float>&);
template void fill_lookup(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
