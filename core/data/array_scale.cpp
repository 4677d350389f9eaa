#include <chorale/core/data/array_scale.hpp>

#include <algorithm>
#include <cmath>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

double inverse(double spread) { return spread > 0 && std::isfinite(1 / spread) ? 1 / spread : 1; }

}  // namespace

void ArrayScale::add(std::span<const std::uint8_t> values) {
  const std::size_t places = places_.size();
  for (std::size_t p = 0; p < places; ++p) {
    std::uint64_t sum = 0, squares = 0;
    for (std::size_t i = p; i < values.size(); i += places) {
      const std::uint64_t value = values[i];
      sum += value, squares += value * value;
    }
    places_[p].count += values.size() / places, places_[p].sum += sum, places_[p].squares += squares;
  }
}

void ArrayScale::add(std::span<const double> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Place& place = places_[i % places_.size()];
    const double value = values[i];
    place.min = place.moments.count() == 0 ? value : std::min(place.min, value);
    place.max = place.moments.count() == 0 ? value : std::max(place.max, value);
    place.moments.add(value);
  }
}

void ArrayScale::merge(std::span<const std::byte> state) {
  for (Place& place : places_) {
    place.count += take<std::uint64_t>(state), place.sum += take<std::uint64_t>(state), place.squares += take<std::uint64_t>(state);
    ExactMoments other;
    other.read(state);
    const double min = take<double>(state), max = take<double>(state);
    if (other.count() == 0) continue;
    place.min = place.moments.count() == 0 ? min : std::min(place.min, min);
    place.max = place.moments.count() == 0 ? max : std::max(place.max, max);
    place.moments.merge(other);
  }
}

Bytes ArrayScale::state() const {
  Bytes out;
  for (const Place& place : places_) {
    put(out, place.count), put(out, place.sum), put(out, place.squares);
    place.moments.write(out);
    put(out, place.min), put(out, place.max);
  }
  return out;
}

ArrayScale::Fitted ArrayScale::fit(const std::string& scale, bool is_bytes) const {
  if (scale == "none") return {};
  if (scale == "minmax" && is_bytes) return {.shift = {0}, .factor = {1.0 / 255}};
  if (scale != "standardise" && scale != "minmax")
    throw UsageError("data.scale = " + scale + " is for the columns of tables; arrays take standardise, minmax or none");
  Fitted out;
  for (const Place& place : places_) {
    double shift = place.min, spread = place.max - place.min;
    if (is_bytes) {
      const auto n = static_cast<double>(place.count);
      const auto scatter = static_cast<__int128>(place.count) * place.squares - static_cast<__int128>(place.sum) * place.sum;
      shift = static_cast<double>(place.sum) / n, spread = std::sqrt(static_cast<double>(scatter)) / n;
    } else if (scale == "standardise") {
      shift = place.moments.mean(), spread = std::sqrt(place.moments.variance());
    }
    out.shift.push_back(shift), out.factor.push_back(inverse(spread));
  }
  return out;
}

}  // namespace chorale
