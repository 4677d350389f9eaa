// Exact sums of doubles. Adding in any order, in any pieces, on any ranks gives the same bits, so fitted statistics depend on rows alone.
// Source: Neal, "Fast exact summation using small and large superaccumulators", 2015 (the small one).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace chorale {

/// A fixed-point number of 2,176 bits in words of 32 with 32 bits of head room each. One thread.
class ExactSum {
 public:
  static constexpr int kWords = 68;
  /// Adds a finite value without rounding.
  void add(double value);
  void merge(const ExactSum& other);
  /// The sum rounded to the quadruple format: 113 bits, so differences of large sums stay good.
  __float128 value() const;
  void write(std::vector<std::byte>& out) const;
  /// Reads what write() wrote and cuts it off the front.
  void read(std::span<const std::byte>& in);

 private:
  void carry();
  std::array<std::int64_t, kWords> words_{};
  std::int32_t room_ = kRoom;
  static constexpr std::int32_t kRoom = 1 << 29;  // additions before a word could overflow
};

/// Count, mean and variance (divided by the count) of finite numbers, without dependence on their order.
class ExactMoments {
 public:
  void add(double value);
  void merge(const ExactMoments& other);
  std::int64_t count() const { return count_; }
  double mean() const;
  double variance() const;
  void write(std::vector<std::byte>& out) const;
  void read(std::span<const std::byte>& in);

 private:
  std::int64_t count_ = 0;
  ExactSum sum_, squares_;
};

}  // namespace chorale
