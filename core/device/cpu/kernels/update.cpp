// The fused update rules over one block: gradient in, state and parameters out. No contraction and no fast-math, so every exchange gives
// equal bits.
#include <chorale/core/device/cpu/flush_subnormals.hpp>
#include <chorale/core/device/cpu/kernels/isa.hpp>
#include <chorale/core/device/cpu/kernels/update_rules.hpp>

namespace chorale::CHORALE_ISA {

namespace {

/// A rule as the table has it: with and without clipping by value.
template <class T, void (*kClipped)(const Constants<T>&, const Update<T>&), void (*kPlain)(const Constants<T>&, const Update<T>&)>
void update(const UpdateScalars& s, const Update<T>& u) {
  const Constants<T> k(s);
  const FlushSubnormals flush;
  k.clipped ? kClipped(k, u) : kPlain(k, u);
}

}  // namespace

template <class T>
void fill_update(TypedKernels<T>& k) {
  k.sgd = update<T, sgd<true, T>, sgd<false, T>>;
  k.adam = update<T, adam<true, T>, adam<false, T>>;
  k.rmsprop = update<T, rmsprop<true, T>, rmsprop<false, T>>;
  k.adagrad = update<T, adagrad<true, T>, adagrad<false, T>>;
  k.adamax = update<T, adamax<true, T>, adamax<false, T>>;
  k.nadam = update<T, nadam<true, T>, nadam<false, T>>;
  k.lion = update<T, lion<true, T>, lion<false, T>>;
  k.lamb_moments = update<T, lamb_moments<true, T>, lamb_moments<false, T>>;
  k.lamb = update<T, lamb<T>, lamb<T>>;
}
template void fill_update(TypedKernels<float>&);
template void fill_update(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
