#include <chorale/train/data/array_store.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/core/tensor/tensor.hpp>
#include <chorale/train/data/aligned.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

/// number: as stored.
template <class T>
T fitting(double scaled, double number, const ArrayView& view, std::int64_t element) {
  const T out = static_cast<T>(scaled);
  if (!std::isfinite(out))
    refuse_element(view, element,
                   "holds " + fmt::format("{:g}", number) + ", which is too large for train.dtype; scale it, or leave the row out");
  return out;
}

/// Scaled before they are rounded: 1.7e9 + 5 is 1.7e9 in f32.
template <class T>
void fill_numbers(const ArrayView& view, const ArrayFeatures& array, std::int64_t row, std::byte* to, std::vector<double>& scratch) {
  const std::int64_t first = row * static_cast<std::int64_t>(scratch.size());
  read_elements(view, first, std::span(scratch));
  check_finite(view, first, scratch);
  T* const out = reinterpret_cast<T*>(to) + first;
  const std::size_t places = array.factor.size();
  for (std::size_t i = 0; i < scratch.size(); ++i) {
    const double scaled = places == 0 ? scratch[i] : (scratch[i] - array.shift[i % places]) * array.factor[i % places];
    out[i] = fitting<T>(scaled, scratch[i], view, first + static_cast<std::int64_t>(i));
  }
}

}  // namespace

ArrayStore::ArrayStore(Communicator& comm, const Setup& s) : has_target_(s.labels.are_there()) {
  const ArrayFeatures& array = s.pipeline.array;
  x_ = {.name = "x", .dtype = array.stored == DType::u8 ? DType::u8 : s.dtype, .row_shape = array.row_shape};
  if (x_.dtype == DType::u8) x_.shift = array.shift, x_.factor = array.factor;  // of a batch, as it is loaded
  target_ = {.name = "target", .dtype = s.labels.are_classes() ? DType::i32 : s.dtype};
  const std::int64_t rows = s.arrays.count();
  target_at_ = aligned(rows * array.row_shape.elements() * static_cast<std::int64_t>(size_bytes(x_.dtype)));
  bytes_ = target_at_ + (has_target_ ? rows * static_cast<std::int64_t>(size_bytes(target_.dtype)) : 0);
  together(comm, "array memory", [&](std::int64_t&) {
    if (bytes_ > s.budget_bytes)
      throw UsageError(s.arrays.rows.path + ": takes " + bytes_text(bytes_) + " of a node's memory, data.memory leaves " +
                       bytes_text(std::max<std::int64_t>(0, s.budget_bytes)) + "; raise it, or train on fewer rows");
  });
  Communicator& node = comm.node();
  memory_ = node.allocate(node.rank() == 0 ? bytes_ : 0, DType::u8);
  together(comm, "arrays",
           [&](std::int64_t& row) { fill(s, rows * node.rank() / node.size(), rows * (node.rank() + 1) / node.size(), row); });
}

void ArrayStore::fill(const Setup& s, std::int64_t first, std::int64_t last, std::int64_t& row) const {
  auto* base = memory_.peers.front().as<std::byte>();
  const ArrayView& view = s.arrays.rows;
  const std::int64_t per_row = x_.row_shape.elements(), count = last - first;
  row = first;
  if (x_.dtype == DType::u8) {
    std::memcpy(base + first * per_row, view.elements.data() + first * per_row, static_cast<std::size_t>(count * per_row));
  } else {
    std::vector<double> scratch(static_cast<std::size_t>(per_row));
    for (; row < last; ++row) with_float_type(x_.dtype, [&]<class T>() { fill_numbers<T>(view, s.pipeline.array, row, base, scratch); });
  }
  if (!has_target_) return;
  std::byte* to = base + target_at_;
  if (s.labels.are_classes()) {
    const auto numbers = s.labels.numbers().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    std::copy(numbers.begin(), numbers.end(), reinterpret_cast<std::int32_t*>(to) + first);
    return;
  }
  const auto values = s.labels.values().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  with_float_type(target_.dtype, [&]<class T>() {
    T* const out = reinterpret_cast<T*>(to);
    for (row = first; row < last; ++row)
      out[row] =
          fitting<T>(values[static_cast<std::size_t>(row - first)], values[static_cast<std::size_t>(row - first)], *s.arrays.labels, row);
  });
}

std::shared_ptr<const Dataset> ArrayStore::part(std::vector<std::int64_t> rows, std::shared_ptr<const Augmentation> augmentation) const {
  const auto* base = memory_.peers.front().as<std::byte>();
  std::vector<ArrayColumn> columns = {{x_, base}};
  if (has_target_) columns.push_back({target_, base + target_at_});
  return std::make_shared<ArrayDataset>(std::move(columns), std::move(rows), memory_.owner, std::move(augmentation));
}

}  // namespace chorale
