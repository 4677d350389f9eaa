#include <chorale/train/collab/own_features.hpp>

#include <cmath>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>

namespace chorale {

OwnFeatures::OwnFeatures(std::shared_ptr<const Dataset> rows, std::int64_t columns, std::int64_t width, std::uint64_t seed)
    : rows_(std::move(rows)), fields_(rows_->fields()), columns_(columns) {
  while (static_cast<std::size_t>(x_) < fields_.size() && fields_[static_cast<std::size_t>(x_)].name != "x") ++x_;
  if (static_cast<std::size_t>(x_) == fields_.size()) throw UsageError("rows without \"x\" have no features to stand for those of peers");
  features_ = fields_[static_cast<std::size_t>(x_)].row_shape.elements();
  fields_.push_back({"shared", DType::f32, {columns}});
  RandomStream random(mix(seed, 0x6F776E66u));
  const double scale = 1 / std::sqrt(static_cast<double>(features_ * width));
  for (std::int64_t i = 0; i < features_ * columns_; ++i) projection_.push_back(scale * random.normal());
}

template <class T>
void OwnFeatures::project(std::span<const std::int64_t> rows, float* out) const {
  std::vector<T> x(rows.size() * static_cast<std::size_t>(features_));
  std::vector<double> sum(static_cast<std::size_t>(columns_));
  rows_->gather(x_, rows, x.data());
  for (std::size_t r = 0; r < rows.size(); ++r, out += columns_) {
    sum.assign(sum.size(), 0.0);
    for (std::int64_t f = 0; f < features_; ++f) {
      const auto value = static_cast<double>(x[r * static_cast<std::size_t>(features_) + static_cast<std::size_t>(f)]);
      if (value == 0) continue;  // most of one-hot columns
      const double* p = projection_.data() + f * columns_;
      for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += value * p[c];
    }
    for (std::size_t c = 0; c < sum.size(); ++c) out[c] = static_cast<float>(sum[c]);
  }
}

void OwnFeatures::gather(int field, std::span<const std::int64_t> rows, void* out) const {
  if (static_cast<std::size_t>(field) + 1 < fields_.size()) return rows_->gather(field, rows, out);
  if (fields_[static_cast<std::size_t>(x_)].dtype == DType::f64)
    project<double>(rows, static_cast<float*>(out));
  else
    project<float>(rows, static_cast<float*>(out));
}

}  // namespace chorale
