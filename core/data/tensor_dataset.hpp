// A data set in plain memory: for generated data, tests and users who bring arrays.
#pragma once
#include <string>
#include <vector>

#include <chorale/core/data/dataset.hpp>

namespace chorale {

/// Read-only once filled; any thread may gather.
class TensorDataset final : public Dataset {
 public:
  explicit TensorDataset(std::int64_t rows) : rows_(rows) {}
  /// values: rows times the elements of row_shape, row-major. The model reads "x" and the loss "target" and, if there, "weight".
  /// Throws ShapeError when the size does not fit.
  void add(const std::string& name, const Shape& row_shape, std::vector<float> values);
  /// What each row costs to compute, for parallel.balance = cost. Throws ShapeError when there is not one a row.
  void set_costs(std::vector<double> costs);
  std::span<const double> costs() const override { return costs_; }
  std::int64_t rows() const override { return rows_; }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;

 private:
  std::int64_t rows_;
  std::vector<Field> fields_;
  std::vector<std::vector<float>> values_;
  std::vector<double> costs_;
};

}  // namespace chorale
