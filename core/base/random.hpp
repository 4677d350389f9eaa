// Counter-based random numbers: the value at a position is a pure function of key and counter, so no state travels
// between ranks and any partition of the work draws the same numbers.
// Source: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10).
#pragma once
#include <array>
#include <cstdint>

namespace chorale {

using Philox4 = std::array<std::uint32_t, 4>;

/// Ten rounds of Philox4x32: 128 random bits for a 128-bit counter and a 64-bit key.
constexpr Philox4 philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter_low), c1 = static_cast<std::uint32_t>(counter_low >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(counter_high), c3 = static_cast<std::uint32_t>(counter_high >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * c0, b = std::uint64_t{0xCD9E8D57u} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(b >> 32) ^ c1 ^ k0, n2 = static_cast<std::uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(b);
    c3 = static_cast<std::uint32_t>(a);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

/// 64 well-mixed bits from several: keys are built from (seed, purpose, step, ...) with this.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const Philox4 r = philox(a, b, 0x63686F72616C65u);
  return (std::uint64_t{r[1]} << 32) | r[0];
}

/// Uniform in [0, 1) with 24 bits.
constexpr float uniform_f32(std::uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }
/// Uniform in [0, 1) with 53 bits.
constexpr double uniform_f64(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>(((std::uint64_t{high} << 32) | low) >> 11) * 0x1p-53;
}

/// A sequence over one key: the i-th number is philox(key, i / 4)[i % 4]. Cheap to make, copyable, no global.
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t key, std::uint64_t position = 0) : key_(key), position_(position) {}
  std::uint32_t bits() {
    if (position_ % 4 == 0 || !filled_) block_ = philox(key_, position_ / 4, 0), filled_ = true;
    return block_[position_++ % 4];
  }
  double uniform() {
    const std::uint32_t high = bits();
    return uniform_f64(high, bits());
  }
  /// Standard normal, Box-Muller, two uniforms each.
  double normal();
  /// Uniform integer in [0, bound), without modulo bias (Lemire 2019).
  std::uint64_t below(std::uint64_t bound);

 private:
  std::uint64_t key_, position_;
  Philox4 block_{};
  bool filled_ = false;
};

}  // namespace chorale
