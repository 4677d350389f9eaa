// Test data that every rank can compute for every other one, and the plain definition of a reduction over ranks.
#pragma once
#include <bit>
#include <cstdint>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale::contract {

/// bf16 by its bits; arithmetic is in float.
struct Bf16 {
  std::uint16_t bits = 0;
  bool operator==(const Bf16&) const = default;
};
inline float widen(Bf16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }
inline Bf16 narrow(float x) {  // to nearest, ties to even
  const auto u = std::bit_cast<std::uint32_t>(x);
  return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

template <class T>
struct Element {
  using Wide = T;
  static constexpr DType dtype = dtype_of<T>;
  static T make(double x) { return static_cast<T>(x); }
  static Wide wide(T x) { return x; }
  static T back(Wide x) { return x; }
};
template <>
struct Element<Bf16> {
  using Wide = float;
  static constexpr DType dtype = DType::bf16;
  static Bf16 make(double x) { return narrow(static_cast<float>(x)); }
  static float wide(Bf16 x) { return widen(x); }
  static Bf16 back(float x) { return narrow(x); }
};

/// Element i of rank r: small, with fractions that do not add exactly in f32, so that the order of a sum shows.
template <class T>
T value(int rank, std::int64_t i) {
  const std::uint64_t mixed = (static_cast<std::uint64_t>(rank) * 7919u + static_cast<std::uint64_t>(i) * 104729u) % 251u;
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(mixed);
  else
    return Element<T>::make((static_cast<double>(mixed) - 100.0) / 3.0);
}

template <class T>
std::vector<T> values(int rank, std::int64_t n) {
  std::vector<T> out(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) out[static_cast<std::size_t>(i)] = value<T>(rank, i);
  return out;
}

template <class T>
Buffer buffer(std::vector<T>& values) {
  return {values.data(), static_cast<std::int64_t>(values.size()), Element<T>::dtype, {}};
}

template <class A>
A combine(A a, A b, Reduce op) {
  switch (op) {
    case Reduce::sum:
      return static_cast<A>(a + b);
    case Reduce::max:
      return a > b ? a : b;
    case Reduce::min:
      return a < b ? a : b;
    default:
      break;
  }
  if constexpr (std::is_integral_v<A>) return static_cast<A>(op == Reduce::bit_and ? a & b : a | b);
  return a;
}

/// Element i reduced over ranks [first, last) in the balanced tree, split at the largest power of two.
template <class T>
typename Element<T>::Wide reduced(int first, int last, std::int64_t i, Reduce op) {
  if (last - first == 1) return Element<T>::wide(value<T>(first, i));
  int half = 1;
  while (half * 2 < last - first) half *= 2;
  return combine(reduced<T>(first, first + half, i, op), reduced<T>(first + half, last, i, op), op);
}

}  // namespace chorale::contract
