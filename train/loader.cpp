#include <chorale/train/loader.hpp>

#include <algorithm>
#include <array>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

template <class Stored, class T>
void turn(const Field& field, const Stored* from, std::int64_t elements, T* to) {
  const std::size_t places = field.factor.size();
  if (places == 0) {
    for (std::int64_t i = 0; i < elements; ++i) to[i] = static_cast<T>(from[i]);
    return;
  }
  if (places == 1) {
    const T shift = static_cast<T>(field.shift[0]), factor = static_cast<T>(field.factor[0]);
    for (std::int64_t i = 0; i < elements; ++i) to[i] = (static_cast<T>(from[i]) - shift) * factor;
    return;
  }
  const std::vector<T> shift(field.shift.begin(), field.shift.end()), factor(field.factor.begin(), field.factor.end());
  for (std::int64_t i = 0; i < elements; i += static_cast<std::int64_t>(places))
    for (std::size_t p = 0; p < places; ++p)
      to[i + static_cast<std::int64_t>(p)] = (static_cast<T>(from[i + static_cast<std::int64_t>(p)]) - shift[p]) * factor[p];
}

template <class T>
void turn_any(const Field& field, const std::byte* from, std::int64_t elements, T* to) {
  switch (field.dtype) {
    case DType::u8:
      return turn(field, reinterpret_cast<const std::uint8_t*>(from), elements, to);
    case DType::i32:
      return turn(field, reinterpret_cast<const std::int32_t*>(from), elements, to);
    case DType::i64:
      return turn(field, reinterpret_cast<const std::int64_t*>(from), elements, to);
    case DType::f32:
      return turn(field, reinterpret_cast<const float*>(from), elements, to);
    case DType::f64:
      return turn(field, reinterpret_cast<const double*>(from), elements, to);
    default:
      throw InternalError("field '" + field.name + "' is stored as " + std::string(name(field.dtype)) +
                          "; a data set gives u8, i32, i64, f32 or f64");
  }
}

Shape batch_shape(std::size_t rows, const Shape& row) {
  std::array<std::int64_t, Shape::kMaxRank> dims{static_cast<std::int64_t>(rows)};
  std::copy(row.dims().begin(), row.dims().end(), dims.begin() + 1);
  return Shape(std::span<const std::int64_t>(dims.data(), static_cast<std::size_t>(row.rank()) + 1));
}

}  // namespace

void Loader::gather(int field, std::span<const std::int64_t> rows, const Draw* draw, void* out) const {
  if (draw)
    data_.gather_for_training(field, rows, *draw, out);
  else
    data_.gather(field, rows, out);
}

Tensor Loader::load_field(int f, std::span<const std::int64_t> rows, const Draw* draw) {
  const Field& field = data_.fields()[static_cast<std::size_t>(f)];
  const DType dtype = field.use == Field::Use::index ? field.dtype : dtype_;
  const bool is_host = device_.id().kind == DeviceKind::cpu;
  const bool as_stored = field.dtype == dtype && field.factor.empty();
  Tensor out = Tensor::empty(device_, batch_shape(rows.size(), field.row_shape), dtype);
  if (as_stored && is_host) {
    gather(f, rows, draw, out.raw());
    return out;
  }
  stored_.resize(static_cast<std::size_t>(out.elements()) * size_bytes(field.dtype));
  gather(f, rows, draw, stored_.data());
  if (!as_stored) {
    if (!is_host) turned_.resize(out.bytes());
    void* to = is_host ? out.raw() : turned_.data();
    with_float_type(dtype, [&]<class T>() { turn_any(field, stored_.data(), out.elements(), static_cast<T*>(to)); });
  }
  if (!is_host) device_.copy(out.raw(), as_stored ? stored_.data() : turned_.data(), out.bytes());
  return out;
}

Values Loader::load(std::span<const std::int64_t> rows, std::span<const std::string> wanted, const Draw* draw) {
  Values out;
  const std::vector<Field>& fields = data_.fields();
  for (std::size_t f = 0; f < fields.size(); ++f) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), fields[f].name) == wanted.end()) continue;
    out.set(fields[f].name, Variable(load_field(static_cast<int>(f), rows, draw)));
  }
  return out;
}

}  // namespace chorale
