#include <chorale/core/data/preprocess_sum.hpp>

#include <bit>
#include <cmath>

#include <chorale/core/data/preprocess_bytes.hpp>

namespace chorale {

void ExactSum::add(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  int exponent = static_cast<int>((bits >> 52) & 0x7FF);
  std::uint64_t mantissa = bits & 0xFFFFFFFFFFFFFull;
  if (exponent == 0) {
    if (mantissa == 0) return;
    exponent = 1;
  } else {
    mantissa |= 1ull << 52;
  }
  // The mantissa's last bit has the weight 2^(exponent - 1075); bit 0 of word 0 has 2^-1074.
  const int position = exponent - 1;
  const auto word = static_cast<std::size_t>(position / 32);
  const auto wide = static_cast<unsigned __int128>(mantissa) << (position % 32);
  const auto low = static_cast<std::int64_t>(static_cast<std::uint32_t>(wide));
  const auto middle = static_cast<std::int64_t>(static_cast<std::uint32_t>(wide >> 32));
  const auto high = static_cast<std::int64_t>(static_cast<std::uint32_t>(wide >> 64));
  const std::int64_t sign = value < 0 ? -1 : 1;
  words_[word] += sign * low;
  words_[word + 1] += sign * middle;
  words_[word + 2] += sign * high;
  if (--room_ == 0) carry();
}

void ExactSum::carry() {
  for (std::size_t i = 0; i + 1 < words_.size(); ++i) {
    const std::int64_t over = words_[i] >> 32;  // floor, for negative words too
    words_[i] -= over * (std::int64_t{1} << 32);
    words_[i + 1] += over;
  }
  room_ = kRoom;
}

void ExactSum::merge(const ExactSum& other) {
  ExactSum tidy = other;
  tidy.carry();
  carry();
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] += tidy.words_[i];
  carry();
}

__float128 ExactSum::value() const {
  ExactSum tidy = *this;
  tidy.carry();
  // Only the top word may be negative now. Flip a negative sum, so that the leading words are not all ones.
  const bool negative = tidy.words_.back() < 0;
  if (negative) {
    for (std::int64_t& word : tidy.words_) word = -word;
    tidy.carry();
  }
  __float128 sum = 0;
  for (std::size_t i = tidy.words_.size(); i-- > 0;) {
    if (tidy.words_[i] == 0) continue;
    // 2^-1074 * 2^(32 i), in two steps that stay inside the range of double.
    const int exponent = static_cast<int>(i) * 32 - 1074;
    const int half = exponent / 2;
    sum += static_cast<__float128>(tidy.words_[i]) * std::ldexp(1.0, half) * std::ldexp(1.0, exponent - half);
  }
  return negative ? -sum : sum;
}

void ExactSum::write(std::vector<std::byte>& out) const {
  ExactSum tidy = *this;
  tidy.carry();
  put(out, tidy.words_);
}

void ExactSum::read(std::span<const std::byte>& in) {
  words_ = take<decltype(words_)>(in);
  room_ = kRoom;
}

void ExactMoments::add(double value) {
  ++count_;
  sum_.add(value);
  const double square = value * value;
  squares_.add(square);
  squares_.add(std::fma(value, value, -square));  // what the product has lost: the square is exact
}

void ExactMoments::merge(const ExactMoments& other) {
  count_ += other.count_;
  sum_.merge(other.sum_);
  squares_.merge(other.squares_);
}

double ExactMoments::mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_.value() / static_cast<__float128>(count_)); }

double ExactMoments::variance() const {
  if (count_ == 0) return 0;
  const auto n = static_cast<__float128>(count_);
  const __float128 mean = sum_.value() / n, variance = squares_.value() / n - mean * mean;
  return variance > 0 ? static_cast<double>(variance) : 0;
}

void ExactMoments::write(std::vector<std::byte>& out) const {
  put(out, count_);
  sum_.write(out);
  squares_.write(out);
}

void ExactMoments::read(std::span<const std::byte>& in) {
  count_ = take<std::int64_t>(in);
  sum_.read(in);
  squares_.read(in);
}

}  // namespace chorale
