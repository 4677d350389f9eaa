// Every source in this folder is compiled once per instruction set into its own namespace (CHORALE_ISA), and fills its part of that set's
// table. No std templates and no Eigen here: the linker would keep one copy of a template, perhaps the one for a newer processor.
#pragma once
#include <chorale/core/device/kernels.hpp>

namespace chorale::CHORALE_ISA {

template <class T>
void fill_elementwise(TypedKernels<T>& k);
template <class T>
void fill_transcendental(TypedKernels<T>& k);
template <class T>
void fill_rows(TypedKernels<T>& k);
template <class T>
void fill_lookup(TypedKernels<T>& k);
template <class T>
void fill_attention(TypedKernels<T>& k);
template <class T>
void fill_recurrent(TypedKernels<T>& k);
template <class T>
void fill_norms(TypedKernels<T>& k);
template <class T>
void fill_channel_norms(TypedKernels<T>& k);
template <class T>
void fill_pooling(TypedKernels<T>& k);
template <class T>
void fill_dropout(TypedKernels<T>& k);
template <class T>
void fill_reduction(TypedKernels<T>& k);
template <class T>
void fill_update(TypedKernels<T>& k);

}  // namespace chorale::CHORALE_ISA
