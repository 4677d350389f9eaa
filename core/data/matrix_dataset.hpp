// A part of a feature matrix as a data set: fields "x" [F], "target" [] (several: "target.NAME") and, where there is one, "weight" [], all
// of one float type.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/dataset.hpp>
#include <chorale/core/data/row_file.hpp>

namespace chorale {

/// A row-major matrix of all rows, in memory of the node or in a file. Ranks of a node share it.
struct FeatureMatrix {
  std::int64_t rows = 0, features = 0;
  const void* x = nullptr;           // [rows, F]
  const void* target = nullptr;      // [rows] of each target, one after the other, or null
  const void* weight = nullptr;      // [rows], or null
  std::shared_ptr<void> owner = {};  // frees it
  DType dtype = DType::f32;          // or f64
  // Too large for memory: the pointers are null, the file holds x from its start on, and target and weight from these bytes on.
  std::shared_ptr<const RowFile> file = {};
  std::int64_t target_at = -1, weight_at = -1;    // -1: there is none
  std::vector<std::string> targets = {"target"};  // what their fields are called
};

/// Read-only; any thread may gather.
class MatrixDataset : public Dataset {
 public:
  /// `rows`: which rows of the matrix, by number, in the order of this part.
  MatrixDataset(FeatureMatrix matrix, std::vector<std::int64_t> rows);
  /// The same over a list that `owner` keeps alive, such as one that the ranks of a node share.
  MatrixDataset(FeatureMatrix matrix, std::span<const std::int64_t> rows, std::shared_ptr<void> owner);
  std::int64_t rows() const override { return static_cast<std::int64_t>(rows_.size()); }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  /// Number in the whole table of each row of this part: what an error message calls a sample.
  std::span<const std::int64_t> row_numbers() const { return rows_; }
  std::int64_t row_id(std::int64_t row) const override { return rows_[static_cast<std::size_t>(row)]; }
  const FeatureMatrix& matrix() const { return matrix_; }

 private:
  FeatureMatrix matrix_;
  std::span<const std::int64_t> rows_;
  std::shared_ptr<void> rows_owner_;
  std::vector<Field> fields_;
  struct Place {
    const std::byte* memory = nullptr;
    std::int64_t in_file = -1;
  };
  std::vector<Place> places_;  // by field
};

}  // namespace chorale
