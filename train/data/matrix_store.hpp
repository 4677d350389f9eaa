// Where the feature matrix of a node lies while it is filled: in memory that the node's ranks share, or in a file where it is too large.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/encode.hpp>
#include <chorale/core/data/matrix_dataset.hpp>

namespace chorale {

struct MatrixShape {
  std::int64_t rows = 0, features = 0;
  std::vector<std::string> targets = {};  // what their fields are called
  bool weight = false;
  DType dtype = DType::f32;  // or f64
  std::int64_t bytes() const;
};

/// One thread a rank. Ranks of a node fill disjoint rows.
class MatrixStore {
 public:
  /// Collective. `budget_bytes` of the node: a larger matrix goes into an unlinked file in `spill_directory`, whose room is reserved at
  /// once; throws IoError on every rank when there is none.
  MatrixStore(Communicator& comm, const MatrixShape& shape, std::int64_t budget_bytes, const std::string& spill_directory);
  MatrixStore(const MatrixStore&) = delete;
  MatrixStore& operator=(const MatrixStore&) = delete;
  ~MatrixStore();

  bool is_in_memory() const { return descriptor_ < 0; }
  /// Encodes a chunk to its rows. Throws as Encoder does, and IoError when the disk does not take it.
  void write(const Encoder& encoder, const TableChunk& chunk);
  /// After all ranks of the node have written: the matrix, for as long as somebody holds it.
  FeatureMatrix finish();

 private:
  template <class T>
  void write_as(const Encoder& encoder, const TableChunk& chunk);
  void write_file(std::int64_t offset, const void* data, std::int64_t bytes);
  void open_file(Communicator& comm, const std::string& spill_directory);

  MatrixShape shape_;
  std::int64_t target_at_ = 0, weight_at_ = 0;  // bytes from the start
  SharedMemory memory_;
  int descriptor_ = -1;
  std::string directory_;
  std::vector<std::byte> block_;  // rows on their way to the file
};

}  // namespace chorale
