#include <chorale/core/metrics/expansion.hpp>

#include <cmath>

namespace chorale {

void Expansion::add(double value) {
  std::size_t kept = 0;
  for (double part : parts_) {
    if (std::abs(value) < std::abs(part)) std::swap(value, part);
    const double high = value + part;
    const double low = part - (high - value);
    if (low != 0) parts_[kept++] = low;
    value = high;
  }
  if (!std::isfinite(value)) {  // the parts computed with it are NaN
    special_ += value;
    parts_.clear();
    return;
  }
  parts_.resize(kept);
  if (value != 0) parts_.push_back(value);
}

void Expansion::add_product(double a, double b) {
  const double product = a * b;
  add(product);
  if (std::isfinite(product)) add(std::fma(a, b, -product));
}

void Expansion::add(const Expansion& other) {
  for (const double part : other.parts_) add(part);
  special_ += other.special_;
}

void Expansion::add_product(const Expansion& other, double factor) {
  for (const double part : other.parts_) add_product(part, factor);
  special_ += other.special_;
}

double Expansion::value() const {
  if (special_ != 0) return special_;  // NaN is not 0 either
  if (parts_.empty()) return 0;
  std::size_t i = parts_.size() - 1;
  double high = parts_[i], low = 0;
  while (i > 0) {
    const double part = parts_[--i], sum = high + part;
    low = part - (sum - high);
    high = sum;
    if (low != 0) break;
  }
  // Half-way cases: what remains below decides to which side the sum is rounded (as CPython's math.fsum does).
  if (i > 0 && ((low < 0 && parts_[i - 1] < 0) || (low > 0 && parts_[i - 1] > 0))) {
    const double twice = low * 2, rounded = high + twice;
    if (rounded - high == twice) high = rounded;
  }
  return high;
}

void Expansion::write(StateWriter& out) const {
  out.put(static_cast<std::uint64_t>(parts_.size()));
  out.put_all(std::span<const double>(parts_));
  out.put(special_);
}

void Expansion::merge(StateReader& in) {
  const auto count = in.get<std::uint64_t>();
  for (const double part : in.get_all<double>(count)) add(part);
  special_ += in.get<double>();
}

}  // namespace chorale
