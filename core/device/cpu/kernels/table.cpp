// Collects one instruction set's kernels.
#include <chorale/core/device/cpu/kernels/isa.hpp>

#define CHORALE_TEXT2(x) #x
#define CHORALE_TEXT(x) CHORALE_TEXT2(x)

namespace chorale::CHORALE_ISA {

template <class T>
static void fill_all(TypedKernels<T>& k) {
  fill_elementwise(k);
  fill_transcendental(k);
  fill_rows(k);
  fill_lookup(k);
  fill_attention(k);
  fill_recurrent(k);
  fill_norms(k);
  fill_channel_norms(k);
  fill_pooling(k);
  fill_dropout(k);
  fill_reduction(k);
  fill_update(k);
}

void fill_table(KernelTable& table) {
  table.isa = CHORALE_TEXT(CHORALE_ISA);
  fill_all(table.f32);
  fill_all(table.f64);
}

}  // namespace chorale::CHORALE_ISA
