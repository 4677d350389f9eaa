// Rows of a chunk to rows of features. Pure: the same row gives the same numbers on every rank and in every chunk.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <chorale/core/data/added_features.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/core/data/table.hpp>

namespace chorale {

/// Where the rows of a chunk go. Null: not wanted.
template <class T>
struct EncodedRowsOf {
  T* x = nullptr;                  // [rows, F], packed
  T* target = nullptr;             // [rows] of each target: 0 or 1, class id, or value; NaN where one of several is missing
  std::int64_t target_stride = 0;  // from the first row of one target to that of the next
  T* weight = nullptr;             // [rows]
};
using EncodedRows = EncodedRowsOf<float>;
using EncodedDoubles = EncodedRowsOf<double>;

/// Read-only once made; any thread. The pipeline must outlive it.
class Encoder {
 public:
  /// Binds the pipeline to a file's columns by name. Throws DataError when a column is missing or has another type.
  /// Target and weight may be missing from the file.
  /// added: of pipeline.published, where that has tasks; outlives it.
  Encoder(const Pipeline& pipeline, const std::vector<ColumnSchema>& schema, const AddedFeatures* added = nullptr);
  bool has_target() const;  // any
  bool has_weight() const { return weight_ >= 0; }
  /// All rows of the chunk. Throws DataError for an infinite number, a value too large for the type, or a target that training has
  /// not seen.
  void encode(const TableChunk& chunk, const EncodedRows& out) const { encode_rows(chunk, out); }
  void encode(const TableChunk& chunk, const EncodedDoubles& out) const { encode_rows(chunk, out); }

 private:
  template <class T>
  void encode_rows(const TableChunk& chunk, const EncodedRowsOf<T>& out) const;
  template <class T>
  void encode_number(const FittedColumn& column, const ColumnChunk& values, std::int64_t first_row, T* out) const;
  template <class T>
  void encode_category(const FittedColumn& column, const ColumnChunk& values, T* out) const;
  template <class T>
  void encode_target(std::size_t target, const TableChunk& chunk, T* out) const;
  const Pipeline& pipeline_;
  std::vector<ColumnSchema> schema_;
  std::vector<int> sources_;
  std::int64_t features_;
  const AddedFeatures* added_ = nullptr;
  std::vector<int> targets_;  // -1: the file lacks it
  int weight_ = -1;
};

/// The value below which a standard normal falls with probability p in (0, 1).
double normal_quantile(double p);

}  // namespace chorale
