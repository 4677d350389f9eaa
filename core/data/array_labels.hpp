// The labels of an array of rows: numbers, or classes by their place among those that the training file has.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/data/target_rule.hpp>
#include <chorale/core/data/pipeline.hpp>
#include <chorale/core/io/stored_array.hpp>

namespace chorale {

/// Throws DataError with file, row and offset for a number among `values` that is not finite. first: the element that they begin with.
void check_finite(const ArrayView& view, std::int64_t first, std::span<const double> values);
/// Throws the DataError: "f.npy: row 3, at byte 152, " and why.
[[noreturn]] void refuse_element(const ArrayView& view, std::int64_t element, const std::string& why);

/// One thread.
class ArrayLabels {
 public:
  /// No labels.
  ArrayLabels() = default;
  /// Throws DataError with file, row and offset for one that is no whole number, where classes are asked for, or not finite.
  ArrayLabels(const ArrayView& labels, TargetKind kind);
  bool are_there() const { return !values_.empty() || !classes_.empty(); }
  bool are_classes() const { return !classes_.empty(); }
  /// The numbers that occur, as texts, in their order.
  std::vector<std::string> classes() const;
  /// Gives each row the place of its class. Throws DataError for a class that is not among them; of kind value it does nothing.
  void number(const std::vector<std::string>& classes);
  /// After number().
  std::int32_t number_of(std::int64_t row) const { return numbers_[static_cast<std::size_t>(row)]; }
  std::span<const std::int32_t> numbers() const { return numbers_; }
  std::span<const double> values() const { return values_; }
  /// One a row, equal where labels are, for a stratified split.
  std::vector<std::uint64_t> keys() const;

 private:
  [[noreturn]] void refuse(std::int64_t row, const std::string& why) const;
  std::string path_;
  std::int64_t offset_ = 0, label_bytes_ = 1;
  std::vector<std::int64_t> classes_;  // by row, of classes
  std::vector<double> values_;         // by row, of values
  std::vector<std::int32_t> numbers_;
};

}  // namespace chorale
