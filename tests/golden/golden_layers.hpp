// A layer's results and gradients against those of a golden file.
#pragma once
#include "golden_file.hpp"

#include <catch2/catch.hpp>

#include <optional>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/tests/contracts/differences.hpp>

namespace chorale {

/// Rounding alone in f64 (the file has 15 digits behind the point); the bounds of fast paths in f32.
inline double layer_bound(DType dtype, double narrow) { return dtype == DType::f64 ? 1e-12 : narrow; }

inline Tensor filled(Device& device, const Shape& shape, DType dtype, const std::vector<double>& numbers) {
  Tensor t = Tensor::empty(device, shape, dtype);
  REQUIRE(t.elements() == static_cast<std::int64_t>(numbers.size()));
  if (dtype == DType::i32)
    std::ranges::transform(numbers, t.data<std::int32_t>(), [](double v) { return static_cast<std::int32_t>(v); });
  else
    with_float_type(dtype, [&]<class T>() { std::copy(numbers.begin(), numbers.end(), t.data<T>()); });
  return t;
}

inline Shape with_rows(std::int64_t rows, std::vector<std::int64_t> row) {
  row.insert(row.begin(), rows);
  return Shape(row);
}

/// c: with "row", "x", "y", "dy", "dx", "parameters" and "gradients" by name; where "tokens" is above 0, "x" are token numbers.
inline void check_case(const nlohmann::json& c, std::int64_t rows, DType dtype, Device& device, Sequential& model) {
  using Numbers = std::vector<double>;
  FlatParams params(model, device, dtype);
  const Tensor arena = Tensor::zeros(device, {params.elements()}, dtype), gradient = Tensor::zeros(device, {params.elements()}, dtype);
  params.bind(arena.buffer());
  params.bind_gradients(gradient.buffer(), false);
  REQUIRE(params.entries().size() == c.at("parameters").size());
  with_float_type(dtype, [&]<class T>() {
    for (const auto& e : params.entries()) {
      CAPTURE(e.name);
      const Numbers start = c.at("parameters").at(e.name);
      REQUIRE(static_cast<std::int64_t>(start.size()) == e.count);
      std::ranges::copy(start, arena.data<T>() + e.first);
    }
  });
  const bool is_text = c.value("tokens", 0) > 0;
  const Tensor in = filled(device, with_rows(rows, c.at("row")), is_text ? DType::i32 : dtype, c.at("x"));
  std::optional<Leaf> x;
  if (!is_text) x.emplace(in);
  const Variable y = model.forward(x ? x->variable() : Variable(in), Pass{.device = device, .training = true});
  CHECK(relative_error(doubles(y.value()), c.at("y").get<Numbers>()) <= layer_bound(dtype, 1e-5));
  backward(y, filled(device, y.shape(), dtype, c.at("dy")));
  if (x) CHECK(relative_error(doubles(x->node->memory()), c.at("dx").get<Numbers>()) <= layer_bound(dtype, 1e-4));
  for (const auto& e : params.entries()) {
    CAPTURE(e.name);
    CHECK(relative_error(doubles(e.parameter->leaf().memory()), c.at("gradients").at(e.name).get<Numbers>()) <= layer_bound(dtype, 1e-4));
  }
}

}  // namespace chorale
