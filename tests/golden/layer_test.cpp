// Layers over images and sequences against PyTorch, in double and in single precision. The values: layer_values.py.
#include "golden_file.hpp"

#include <catch2/catch.hpp>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/tests/contracts/differences.hpp>

using namespace chorale;

namespace {

/// Rounding alone in f64 (the file has 15 digits behind the point); the bounds of fast paths in f32.
double layer_bound(DType dtype, double narrow) { return dtype == DType::f64 ? 1e-12 : narrow; }

Tensor filled(Device& device, const Shape& shape, DType dtype, const std::vector<double>& numbers) {
  Tensor t = Tensor::empty(device, shape, dtype);
  REQUIRE(t.elements() == static_cast<std::int64_t>(numbers.size()));
  with_float_type(dtype, [&]<class T>() { std::copy(numbers.begin(), numbers.end(), t.data<T>()); });
  return t;
}

Shape with_rows(std::int64_t rows, std::vector<std::int64_t> row) {
  row.insert(row.begin(), rows);
  return Shape(row);
}

void check_case(const nlohmann::json& c, std::int64_t rows, DType dtype, Device& device, const Registry& registry) {
  using Numbers = std::vector<double>;
  const auto row = c.at("row").get<std::vector<std::int64_t>>();
  const auto model = build_layers(c.at("layers").get<std::string>(), Shape(row), registry);
  FlatParams params(*model, device, dtype);
  const Tensor arena = Tensor::zeros(device, {params.elements()}, dtype), gradient = Tensor::zeros(device, {params.elements()}, dtype);
  params.bind(arena.buffer());
  params.bind_gradients(gradient.buffer(), false);
  REQUIRE(params.entries().size() == c.at("parameters").size());
  with_float_type(dtype, [&]<class T>() {
    for (const auto& e : params.entries()) {
      const Numbers start = c.at("parameters").at(e.name);
      REQUIRE(static_cast<std::int64_t>(start.size()) == e.count);
      std::ranges::copy(start, arena.data<T>() + e.first);
    }
  });
  Leaf x(filled(device, with_rows(rows, row), dtype, c.at("x")));
  const Variable y = model->forward(x.variable(), Pass{.device = device, .training = true});
  CHECK(relative_error(doubles(y.value()), c.at("y").get<Numbers>()) <= layer_bound(dtype, 1e-5));
  backward(y, filled(device, y.shape(), dtype, c.at("dy")));
  CHECK(relative_error(doubles(x.node->memory()), c.at("dx").get<Numbers>()) <= layer_bound(dtype, 1e-4));
  for (const auto& e : params.entries()) {
    CAPTURE(e.name);
    CHECK(relative_error(doubles(e.parameter->leaf().memory()), c.at("gradients").at(e.name).get<Numbers>()) <= layer_bound(dtype, 1e-4));
  }
}

}  // namespace

TEST_CASE("layers over images and sequences give PyTorch's results and gradients") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  const nlohmann::json values = golden("layer_values.json");
  REQUIRE(values.at("cases").size() >= 20);
  for (const auto& c : values.at("cases"))
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(c.at("layers").get<std::string>(), name(dtype));
      check_case(c, values.at("rows"), dtype, *device, registry);
    }
}
