#include <chorale/train/step_statistics.hpp>

#include <algorithm>

namespace chorale {

namespace {

constexpr double Phases::*kPhases[] = {&Phases::data, &Phases::forward, &Phases::backward, &Phases::communicate, &Phases::update};
constexpr std::size_t kMostKept = 1 << 20;

template <class T>
double quantile(std::vector<T> values, double q) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return static_cast<double>(*at);
}

template <class T>
void thin(std::vector<T>& values) {
  for (std::size_t i = 0; 2 * i < values.size(); ++i) values[i] = values[2 * i];
  values.resize((values.size() + 1) / 2);
}

}  // namespace

PhaseSpread spread_of(std::span<const Phases> phases) {
  PhaseSpread out;
  for (const auto member : kPhases) {
    if (phases.empty()) continue;
    double low = phases[0].*member, high = low, sum = 0;
    for (const Phases& p : phases) low = std::min(low, p.*member), high = std::max(high, p.*member), sum += p.*member;
    out.min.*member = low, out.max.*member = high, out.mean.*member = sum / static_cast<double>(phases.size());
  }
  return out;
}

void StepStatistics::add(double step_ms, std::int64_t samples, std::span<const Phases> phases) {
  recent_ms_ = seen_ == 0 ? step_ms : recent_ms_ + 0.02 * (step_ms - recent_ms_);
  if (seen_++ % stride_ != 0) return;
  times_.push_back(static_cast<float>(step_ms));
  samples_.push_back(samples);
  worst_.push_back(phases.size() == 1 ? phases[0] : spread_of(phases).max);
  if (times_.size() < kMostKept) return;
  thin(times_), thin(samples_), thin(worst_);
  stride_ *= 2;
}

void StepStatistics::fill(Summary& s) const {
  const std::size_t warm = std::min<std::size_t>(times_.size() / 10, 100);  // caches, pools and primitives are made in the first steps
  double total_ms = 0, total = 0;
  for (std::size_t i = warm; i < times_.size(); ++i) total_ms += static_cast<double>(times_[i]), total += static_cast<double>(samples_[i]);
  s.samples_per_second = total_ms > 0 ? total / total_ms * 1000 : 0;
  s.step_ms_p10 = quantile(times_, 0.1), s.step_ms_p50 = quantile(times_, 0.5), s.step_ms_p90 = quantile(times_, 0.9);
  for (const auto member : kPhases) {
    std::vector<double> values;
    for (const Phases& p : worst_) values.push_back(p.*member);
    s.phases_ms.*member = quantile(std::move(values), 0.5);
  }
}

}  // namespace chorale
