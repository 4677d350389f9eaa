// Some rows of a data set, in an order of their own, as a data set; without the random changes that training makes of rows.
#pragma once
#include <memory>
#include <vector>

#include <chorale/core/data/dataset.hpp>

namespace chorale {

/// Read-only; any thread may gather.
class ChosenRows final : public Dataset {
 public:
  /// rows: numbers in `all`, each in [0, all->rows()).
  ChosenRows(std::shared_ptr<const Dataset> all, std::vector<std::int64_t> rows);
  std::int64_t rows() const override { return static_cast<std::int64_t>(rows_.size()); }
  const std::vector<Field>& fields() const override { return all_->fields(); }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override;
  std::span<const double> costs() const override { return costs_; }
  std::int64_t row_id(std::int64_t row) const override { return all_->row_id(rows_[static_cast<std::size_t>(row)]); }

 private:
  std::vector<std::int64_t> chosen(std::span<const std::int64_t> rows) const;
  std::shared_ptr<const Dataset> all_;
  std::vector<std::int64_t> rows_;
  std::vector<double> costs_;
};

}  // namespace chorale
