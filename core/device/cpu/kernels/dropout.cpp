// Dropout by counter: element i of a layer's output in the global batch draws word i % 4 of Philox block i / 4, so the mask does not depend
// on who computes it. Sixteen blocks advance side by side, which the compiler turns into vector multiplications.
#include <chorale/core/device/cpu/kernels/isa.hpp>

namespace chorale::CHORALE_ISA {

namespace {

constexpr int kBlocks = 16;

/// words [4][kBlocks] of blocks first, first + 1, ...; the rounds of core/base/random.hpp.
inline void philox_blocks(uint64_t key, uint64_t first, uint32_t words[4][kBlocks]) {
  uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (int i = 0; i < kBlocks; ++i) {
    const uint64_t counter = first + static_cast<uint64_t>(i);
    c0[i] = static_cast<uint32_t>(counter);
    c1[i] = static_cast<uint32_t>(counter >> 32);
    c2[i] = 0;
    c3[i] = 0;
  }
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      const uint64_t a = uint64_t{0xD2511F53u} * c0[i], b = uint64_t{0xCD9E8D57u} * c2[i];
      c0[i] = static_cast<uint32_t>(b >> 32) ^ c1[i] ^ k0;
      c2[i] = static_cast<uint32_t>(a >> 32) ^ c3[i] ^ k1;
      c1[i] = static_cast<uint32_t>(b);
      c3[i] = static_cast<uint32_t>(a);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < kBlocks; ++i) words[0][i] = c0[i], words[1][i] = c1[i], words[2][i] = c2[i], words[3][i] = c3[i];
}

template <class T>
void dropout(const DropoutMap<T>& p) {
  const uint32_t threshold = static_cast<uint32_t>(static_cast<double>(p.p) * 4294967296.0);
  const T scale = T(1) / (T(1) - static_cast<T>(p.p));
  const T* x = p.x ? p.x : p.y;
  uint32_t words[4][kBlocks];
  T factor[4 * kBlocks];
  int64_t i = 0;
  while (i < p.n) {
    const uint64_t position = p.first + static_cast<uint64_t>(i);
    philox_blocks(p.key, position / 4, words);
    for (int b = 0; b < kBlocks; ++b)
      for (int w = 0; w < 4; ++w) factor[4 * b + w] = words[w][b] >= threshold ? scale : T(0);
    const int64_t skip = static_cast<int64_t>(position % 4);
    const int64_t count = 4 * kBlocks - skip < p.n - i ? 4 * kBlocks - skip : p.n - i;
#pragma GCC ivdep
    for (int64_t j = 0; j < count; ++j) p.y[i + j] = x[i + j] * factor[skip + j];
    i += count;
  }
}

}  // namespace

template <class T>
void fill_dropout(TypedKernels<T>& k) {
  k.dropout = dropout<T>;
}
template void fill_dropout(TypedKernels<float>&);
template void fill_dropout(TypedKernels<double>&);

}  // namespace chorale::CHORALE_ISA
