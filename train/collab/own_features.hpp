// A control: what peers would give is replaced by a fixed random projection of the row's own features, so that a model with as many
// parameters and the same stages learns from nothing but its own table.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <chorale/core/data/dataset.hpp>

namespace chorale {

/// A data set with "shared" [columns] = x P / sqrt(width) beside its own fields; P [features, columns] has entries N(0, 1 / features) drawn
/// from the seed. x must be of float type.
class OwnFeatures final : public Dataset {
 public:
  OwnFeatures(std::shared_ptr<const Dataset> rows, std::int64_t columns, std::int64_t width, std::uint64_t seed);
  std::int64_t rows() const override { return rows_->rows(); }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  std::span<const double> costs() const override { return rows_->costs(); }
  std::int64_t row_id(std::int64_t row) const override { return rows_->row_id(row); }

 private:
  template <class T>
  void project(std::span<const std::int64_t> rows, float* out) const;
  std::shared_ptr<const Dataset> rows_;
  std::vector<Field> fields_;
  int x_ = 0;
  std::int64_t features_ = 0, columns_;
  std::vector<double> projection_;  // [features, columns]
};

}  // namespace chorale
