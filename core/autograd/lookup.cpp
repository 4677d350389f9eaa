// Rows of a table by number, and positions added to all samples alike.
#include <chorale/core/autograd/sequence_ops.hpp>

namespace chorale {

namespace {

void check_ids(const Tensor& ids, std::int64_t rows) {
  if (ids.dtype() != DType::i32)
    throw ShapeError("[embedding] expected token numbers of type i32, got " + std::string(name(ids.dtype())) +
                     "; data.format = text gives them");
  const auto* id = ids.data<std::int32_t>();
  for (std::int64_t i = 0; i < ids.elements(); ++i)
    if (id[i] < 0 || id[i] >= rows)
      throw DataError("[embedding] sample " + std::to_string(i / ids.row_elements()) + " has token " + std::to_string(id[i]) +
                      ", the table has " + std::to_string(rows) + " rows");
}

}  // namespace

Variable lookup(const Tensor& ids, const Variable& table) {
  if (table.shape().rank() != 2) throw ShapeError("[embedding] expected a table [V, C], got " + table.shape().text());
  check_ids(ids, table.shape()[0]);
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  const int rank = ids.shape().rank();
  if (rank + 1 > Shape::kMaxRank) throw ShapeError("[embedding] ids of " + ids.shape().text() + " have too many dimensions");
  for (int i = 0; i < rank; ++i) dims[static_cast<std::size_t>(i)] = ids.shape()[i];
  dims[static_cast<std::size_t>(rank)] = table.shape()[1];
  Tensor y = Tensor::empty(table.value().device(), Shape(std::span<const std::int64_t>(dims.data(), static_cast<std::size_t>(rank) + 1)),
                           table.dtype());
  const std::int64_t rows = ids.elements(), cols = table.shape()[1];
  with_float_type(table.dtype(), [&]<class T>() {
    y.device().typed<T>().lookup(
        {.ids = ids.data<std::int32_t>(), .table = table.value().data<T>(), .y = y.data<T>(), .rows = rows, .cols = cols});
  });
  Node* node = table.node().get();
  return make_result(std::move(y), {table.node()}, [node, ids, rows, cols, table = table.value()](Tensor dy) {
    const GradientTarget to = node->target(table);
    if (!to.accumulate) to.memory.device().clear(to.memory.raw(), to.memory.bytes());
    with_float_type(dy.dtype(), [&]<class T>() {
      dy.device().typed<T>().lookup_gradient(
          {.ids = ids.data<std::int32_t>(), .dy = dy.data<T>(), .dtable = to.memory.data<T>(), .rows = rows, .cols = cols});
    });
  });
}

Variable add_positions(const Variable& x, const Variable& positions) {
  const Shape &s = x.shape(), &p = positions.shape();
  if (s.rank() != 3 || p.rank() != 2 || s[2] != p[1] || s[1] > p[0] || x.dtype() != positions.dtype())
    throw ShapeError("[positions] expected x [B, T, C] with T up to " + (p.rank() == 2 ? std::to_string(p[0]) : "?") +
                     " and C = " + (p.rank() == 2 ? std::to_string(p[1]) : "?") + ", got " + s.text());
  const std::int64_t batch = s[0], each = s[1] * s[2];
  Tensor y = Tensor::empty(x.value().device(), s, x.dtype());
  y.device().copy(y.raw(), x.value().raw(), y.bytes());
  with_float_type(x.dtype(), [&]<class T>() { y.device().typed<T>().add_rows(y.data<T>(), positions.value().data<T>(), batch, each); });
  Node *xn = x.node().get(), *pn = positions.node().get();
  return make_result(std::move(y), {x.node(), positions.node()}, [xn, pn, batch, each, positions = positions.value()](Tensor dy) {
    if (pn) {
      const GradientTarget to = pn->target(positions);
      with_float_type(dy.dtype(), [&]<class T>() {
        T* sums = to.memory.data<T>();
        dy.device().typed<T>().column_sums(dy.data<T>(), sums, batch, each, to.accumulate);
        if (!to.accumulate) dy.device().clear(sums + each, static_cast<std::size_t>(positions.elements() - each) * sizeof(T));
      });
    }
    if (xn) xn->adopt(std::move(dy));
  });
}

}  // namespace chorale
