// A part of a feature matrix as a data set: fields "x" [F], "target" [] and, where there is one, "weight" [], all f32.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <chorale/core/data/dataset.hpp>

namespace chorale {

/// A row-major matrix of all rows, in memory of the node or of a mapped file. Ranks of a node share it.
struct FeatureMatrix {
  std::int64_t rows = 0, features = 0;
  const float* x = nullptr;       // [rows, F]
  const float* target = nullptr;  // [rows], or null
  const float* weight = nullptr;  // [rows], or null
  std::shared_ptr<void> owner;    // frees it
};

/// Read-only; any thread may gather.
class MatrixDataset : public Dataset {
 public:
  /// `rows`: which rows of the matrix, by number, in the order of this part.
  MatrixDataset(FeatureMatrix matrix, std::vector<std::int64_t> rows);
  std::int64_t rows() const override { return static_cast<std::int64_t>(rows_.size()); }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  /// Number in the whole table of each row of this part: what an error message calls a sample.
  std::span<const std::int64_t> row_numbers() const { return rows_; }
  std::int64_t row_id(std::int64_t row) const override { return rows_[static_cast<std::size_t>(row)]; }

 private:
  FeatureMatrix matrix_;
  std::vector<std::int64_t> rows_;
  std::vector<Field> fields_;
  std::vector<const float*> sources_;  // by field
};

}  // namespace chorale
