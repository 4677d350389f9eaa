// Dropout by counter: element i of a layer's output in the global batch draws word i % 4 of Philox block i / 4, so the mask does not depend
// on who computes it. A vector of blocks advances side by side, each word in a lane of 64 bits, where its products have room.
#include <chorale/core/device/cpu/kernels/vector.hpp>

namespace chorale::CHORALE_ISA {

namespace {

constexpr int kBlocks = 16;

typedef uint64_t Counters __attribute__((vector_size(kVectorBytes)));
constexpr int kCounters = kVectorBytes / 8;

/// pairs [2 * kCounters]: of blocks first, first + 1, ... words 0 and 1, then words 2 and 3; the rounds of core/base/random.hpp.
inline void philox_blocks(uint64_t key, uint64_t first, uint64_t* pairs) {
  constexpr uint64_t kLow = 0xFFFFFFFFu;
  Counters c0, c1, c2{}, c3{};
  for (int i = 0; i < kCounters; ++i) c0[i] = first + static_cast<uint64_t>(i);
  c1 = c0 >> 32;
  c0 &= kLow;
  uint64_t k0 = key & kLow, k1 = key >> 32;
  for (int round = 0; round < 10; ++round) {
    const Counters a = c0 * uint64_t{0xD2511F53u}, b = c2 * uint64_t{0xCD9E8D57u};
    c0 = (b >> 32) ^ c1 ^ k0;
    c2 = (a >> 32) ^ c3 ^ k1;
    c1 = b & kLow;
    c3 = a & kLow;
    k0 = (k0 + 0x9E3779B9u) & kLow;
    k1 = (k1 + 0xBB67AE85u) & kLow;
  }
  const Counters front = c0 | (c1 << 32), back = c2 | (c3 << 32);
  for (int i = 0; i < kCounters; ++i) pairs[2 * i] = front[i], pairs[2 * i + 1] = back[i];
}

template <class T>
void dropout(const DropoutMap<T>& p) {
  const uint32_t threshold = static_cast<uint32_t>(static_cast<double>(p.p) * 4294967296.0);
  const T scale = T(1) / (T(1) - static_cast<T>(p.p));
  const T* x = p.x ? p.x : p.y;
  union {
    uint64_t pairs[2 * kBlocks];
    uint32_t words[4 * kBlocks];  // little-endian, as all processors that this is compiled for
  };
  T factor[4 * kBlocks];
  int64_t i = 0;
  while (i < p.n) {
    const uint64_t position = p.first + static_cast<uint64_t>(i);
    for (int b = 0; b < kBlocks; b += kCounters) philox_blocks(p.key, position / 4 + static_cast<uint64_t>(b), pairs + 2 * b);
    for (int w = 0; w < 4 * kBlocks; ++w) factor[w] = words[w] >= threshold ? scale : T(0);
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
