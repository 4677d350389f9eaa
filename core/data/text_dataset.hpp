// A run of tokens as windows of one length: fields "tokens" i32 [T] and "target" i32 [T], each place's next token.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <chorale/core/data/dataset.hpp>

namespace chorale {

/// Read-only; any thread may gather. Row r is the window from token r * T on: windows do not overlap, and the fewer than T tokens behind
/// the last one are left out. In training row r begins at a random place up to T - 1 tokens later, drawn by position in the global batch,
/// and wraps around the run's end.
class TextDataset final : public Dataset {
 public:
  /// tokens: of this part. owner: keeps them. Throws DataError for other than 0 tokens of which there are not context + 1.
  TextDataset(std::span<const std::int32_t> tokens, std::int64_t context, std::shared_ptr<const void> owner);
  std::int64_t rows() const override { return rows_; }
  const std::vector<Field>& fields() const override { return fields_; }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  void gather_for_training(int field, std::span<const std::int64_t> rows, const Draw& draw, void* out) const override;

 private:
  std::span<const std::int32_t> tokens_;
  std::int64_t context_, rows_;
  std::shared_ptr<const void> owner_;
  std::vector<Field> fields_;
};

}  // namespace chorale
