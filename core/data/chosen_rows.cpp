#include <chorale/core/data/chosen_rows.hpp>

#include <utility>

namespace chorale {

ChosenRows::ChosenRows(std::shared_ptr<const Dataset> all, std::vector<std::int64_t> rows) : all_(std::move(all)), rows_(std::move(rows)) {
  if (const std::span<const double> costs = all_->costs(); !costs.empty())
    for (const std::int64_t row : rows_) costs_.push_back(costs[static_cast<std::size_t>(row)]);
}

std::vector<std::int64_t> ChosenRows::chosen(std::span<const std::int64_t> rows) const {
  std::vector<std::int64_t> out;
  out.reserve(rows.size());
  for (const std::int64_t row : rows) out.push_back(rows_[static_cast<std::size_t>(row)]);
  return out;
}

void ChosenRows::gather(int field, std::span<const std::int64_t> rows, void* out) const { all_->gather(field, chosen(rows), out); }

}  // namespace chorale
