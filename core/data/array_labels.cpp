#include <chorale/core/data/array_labels.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

std::string place(const std::string& path, std::int64_t row, std::int64_t offset) {
  return path + ": row " + std::to_string(row) + ", at byte " + std::to_string(offset) + ", ";
}

}  // namespace

void check_finite(const ArrayView& view, std::int64_t first, std::span<const double> values) {
  const auto bad = std::find_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); });
  if (bad == values.end()) return;
  refuse_element(view, first + (bad - values.begin()),
                 std::string("holds ") + (std::isnan(*bad) ? "NaN" : "an infinite number") + "; fill it in, or leave the row out");
}

void refuse_element(const ArrayView& view, std::int64_t element, const std::string& why) {
  const std::int64_t per_row = view.shape.elements() / view.shape[0];
  throw DataError(place(view.path, element / per_row, view.offset + element * static_cast<std::int64_t>(size_bytes(view.type))) + why);
}

ArrayLabels::ArrayLabels(const ArrayView& labels, TargetKind kind)
    : path_(labels.path), offset_(labels.offset), label_bytes_(static_cast<std::int64_t>(size_bytes(labels.type))) {
  const auto rows = static_cast<std::size_t>(labels.shape.elements());
  if (kind != TargetKind::value && is_whole(labels.type)) {
    classes_.resize(rows);
    read_elements(labels, 0, std::span(classes_));
    const auto wrapped = std::find_if(classes_.begin(), classes_.end(), [](std::int64_t c) { return c < 0; });
    if (labels.type == StoredType::u64 && wrapped != classes_.end())
      refuse(wrapped - classes_.begin(),
             "holds " + std::to_string(static_cast<std::uint64_t>(*wrapped)) + ", which is too large for a class");
    return;
  }
  values_.resize(rows);
  read_elements(labels, 0, std::span(values_));
  check_finite(labels, 0, values_);
  if (kind == TargetKind::value) return;
  for (std::size_t row = 0; row < rows; ++row) {
    if (values_[row] != std::floor(values_[row]) || std::abs(values_[row]) > 0x1p53)
      refuse(static_cast<std::int64_t>(row),
             "holds " + std::to_string(values_[row]) + ", which is no class; for values use train.loss = mse");
    classes_.push_back(static_cast<std::int64_t>(values_[row]));
  }
  values_.clear();
}

std::vector<std::string> ArrayLabels::classes() const {
  std::vector<std::string> out;
  for (const std::int64_t value : std::set<std::int64_t>(classes_.begin(), classes_.end())) out.push_back(std::to_string(value));
  return out;
}

void ArrayLabels::number(const std::vector<std::string>& classes) {
  std::map<std::int64_t, std::int32_t> places;
  for (std::size_t c = 0; c < classes.size(); ++c) places[std::stoll(classes[c])] = static_cast<std::int32_t>(c);
  for (const std::int64_t value : classes_) {
    const auto found = places.find(value);
    if (found == places.end())
      refuse(static_cast<std::int64_t>(numbers_.size()),
             "has class " + std::to_string(value) + ", which no training row has; do the files belong together?");
    numbers_.push_back(found->second);
  }
}

std::vector<std::uint64_t> ArrayLabels::keys() const {
  std::vector<std::uint64_t> out;
  for (const std::int64_t value : classes_) out.push_back(static_cast<std::uint64_t>(value));
  for (const double value : values_) out.push_back(std::bit_cast<std::uint64_t>(value));
  return out;
}

void ArrayLabels::refuse(std::int64_t row, const std::string& why) const {
  throw DataError(place(path_, row, offset_ + row * label_bytes_) + why);
}

}  // namespace chorale
