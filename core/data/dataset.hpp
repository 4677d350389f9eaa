// Rows by number: what the loader draws batches from. Read-only after it is made, so any thread may gather.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/dtype.hpp>
#include <chorale/core/base/shape.hpp>

namespace chorale {

/// One named tensor of a sample, as the data set stores it: "x" [features] or [H, W, C], "target" [], "weight" []; later "tokens" i32 [T],
/// or at most T ids of a column with several, filled up with -1.
struct Field {
  /// number: loaded in the model's own float type, whatever is stored (class ids too). index: loaded as it is stored, i32 or i64.
  enum class Use : std::uint8_t { number, index };
  std::string name;
  DType dtype = DType::f32;  // of what gather() writes: f32, f64, u8, i32 or i64
  Shape row_shape = {};      // without the batch dimension
  Use use = Use::number;
  // Of numbers: loaded as (value - shift) * factor, one of each for all or one for each place of the last extent; empty: as they are.
  std::vector<double> shift = {}, factor = {};
};

/// What random changes of training rows are drawn from: row i of a gather has the position first_position + i in the global batch.
struct Draw {
  std::uint64_t key = 0;  // of (seed, step)
  std::int64_t first_position = 0;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t rows() const = 0;
  virtual const std::vector<Field>& fields() const = 0;
  /// Copies the given rows of field f, packed, to `out` in host memory (rows.size() * elements of a row). Rows are in [0, rows()).
  virtual void gather(int field, std::span<const std::int64_t> rows, void* out) const = 0;
  /// The same for a training step: with the random changes that these rows are trained with, where there are any.
  virtual void gather_for_training(int field, std::span<const std::int64_t> rows, const Draw&, void* out) const {
    gather(field, rows, out);
  }
  /// What each row costs to compute, above 0, in any unit (tokens, for instance); empty: all cost the same.
  virtual std::span<const double> costs() const { return {}; }
  /// What messages call row `row`: its number in the file, where there is one.
  virtual std::int64_t row_id(std::int64_t row) const { return row; }
};

}  // namespace chorale
