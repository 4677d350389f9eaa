#include <chorale/core/nn/running_statistics.hpp>

namespace chorale {

namespace {

/// Adds n values of that mean and sum of squares around it to (count, mean, squares).
/// Source: Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", COMPSTAT 1982.
void merge(double count, double& mean, double& squares, double n, double other_mean, double other_squares) {
  const double all = count + n, apart = other_mean - mean;
  mean += apart * n / all;
  squares += other_squares + apart * apart * count * n / all;
}

}  // namespace

void RunningStatistics::stage(const Moments& seen) const {
  const Tensor &mean = places_.mean.staged(), &variance = places_.variance.staged(), &count = places_.batches.staged();
  if (!mean.defined()) return;
  with_float_type(mean.dtype(), [&]<class T>() {
    const double before = static_cast<double>(*count.data<T>()), all = before + seen.count;
    for (std::int64_t c = 0; c < mean.elements(); ++c) {
      const double new_mean = static_cast<double>(seen.mean.data<T>()[c]), new_variance = static_cast<double>(seen.variance.data<T>()[c]);
      double m = before > 0 ? static_cast<double>(mean.data<T>()[c]) : new_mean;
      double squares = before > 0 ? static_cast<double>(variance.data<T>()[c]) * before : 0;
      merge(before, m, squares, seen.count, new_mean, new_variance * seen.count);
      mean.data<T>()[c] = static_cast<T>(m), variance.data<T>()[c] = static_cast<T>(squares / all);
    }
    *count.data<T>() = static_cast<T>(all);
  });
}

void RunningStatistics::absorb() {
  const Tensor& mean = places_.mean.staged();
  const auto channels = static_cast<std::size_t>(mean.elements());
  with_float_type(mean.dtype(), [&]<class T>() {
    const double n = static_cast<double>(*places_.batches.staged().data<T>());
    if (!(n > 0) || (is_synchronised() && count_ > 0)) return;
    if (count_ == 0) mean_.assign(channels, 0), squares_.assign(channels, 0);
    for (std::size_t c = 0; c < channels; ++c)
      merge(count_, mean_[c], squares_[c], n, static_cast<double>(mean.data<T>()[c]),
            static_cast<double>(places_.variance.staged().data<T>()[c]) * n);
    count_ += n;
  });
}

void RunningStatistics::finish() {
  const auto next = [&](const Parameter& place, auto value_of) {
    with_float_type(place.value().dtype(), [&]<class T>() {
      const T* old = place.value().data<T>();
      T* to = place.staged().data<T>();
      for (std::int64_t c = 0; c < place.value().elements(); ++c)
        to[c] = count_ > 0 ? static_cast<T>(value_of(static_cast<double>(old[c]), static_cast<std::size_t>(c))) : old[c];
    });
  };
  next(places_.mean, [&](double old, std::size_t c) { return (1 - options_.momentum) * old + options_.momentum * mean_[c]; });
  next(places_.variance,
       [&](double old, std::size_t c) { return (1 - options_.momentum) * old + options_.momentum * squares_[c] / (count_ - 1); });
  next(places_.batches, [](double old, std::size_t) { return old + 1; });
  count_ = 0;
}

}  // namespace chorale
