// Rows by number: what the loader draws batches from. Read-only after it is made, so any thread may gather.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/dtype.hpp>
#include <chorale/core/base/shape.hpp>

namespace chorale {

/// One named tensor of a sample: "x" [features], "target" [], "weight" [].
struct Field {
  std::string name;
  DType dtype = DType::f32;
  Shape row_shape;  // without the batch dimension
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t rows() const = 0;
  virtual const std::vector<Field>& fields() const = 0;
  /// Copies the given rows of field f, packed, to `out` (rows.size() * elements of a row). Rows are in [0, rows()).
  virtual void gather(int field, std::span<const std::int64_t> rows, void* out) const = 0;
  /// What each row costs to compute, above 0, in any unit (tokens, for instance); empty: all cost the same.
  virtual std::span<const double> costs() const { return {}; }
  /// What messages call row `row`: its number in the file, where there is one.
  virtual std::int64_t row_id(std::int64_t row) const { return row; }
};

}  // namespace chorale
