// Arrays and their labels in memory that the ranks of a node share: bytes as they are, other numbers
// scaled and in the model's float type.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/array_dataset.hpp>
#include <chorale/core/data/array_labels.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/train/data/array_files.hpp>

namespace chorale {

/// One thread a rank; what part() gives may be read by any.
class ArrayStore {
 public:
  struct Setup {
    const LabelledArrays& arrays;
    const Pipeline& pipeline;   // whose array says shape and scale
    const ArrayLabels& labels;  // numbered; none: the parts have no "target"
    DType dtype;                // of the model
    std::int64_t budget_bytes;  // of a node
  };
  /// Collective. Throws UsageError on every rank where a node's budget is too small, DataError for numbers that are not finite.
  ArrayStore(Communicator& comm, const Setup& setup);
  /// These rows of the array, in this order.
  std::shared_ptr<const Dataset> part(std::vector<std::int64_t> rows, std::shared_ptr<const Augmentation> augmentation = nullptr) const;
  std::int64_t bytes() const { return bytes_; }

 private:
  void fill(const Setup& setup, std::int64_t first, std::int64_t last, std::int64_t& row) const;
  Field x_, target_;
  std::int64_t target_at_ = 0, bytes_ = 0;
  bool has_target_;
  SharedMemory memory_;
};

}  // namespace chorale
