// Graphs that branch, join and share parameters; when gradients are announced.
#include "differences.hpp"

#include <catch2/catch.hpp>

using namespace chorale;

TEST_CASE("operations pass finite differences where inputs are used more than once") {
  auto device = make_cpu_device();
  Leaf a(random_tensor(*device, {3, 4}, DType::f64, 1)), b(random_tensor(*device, {3, 4}, DType::f64, 2)),
      w(random_tensor(*device, {4, 4}, DType::f64, 3));
  const auto f = [](const Variable& x, const Variable& y, const Variable& weight) {
    const Variable h = linear(linear(x, weight), weight);  // tied weights
    const Variable diamond = x * y + x / affine(square(y), 1, 2) - h;
    return sum(row_sums(exp(affine(diamond, 0.1, 0)) * softmax(matmul(h, weight))));
  };
  backward(f(a.variable(), b.variable(), w.variable()));
  const auto value = [&] { return *f(a.value, b.value, w.value).value().data<double>(); };
  CHECK(relative_error(doubles(a.node->memory()), slopes(a.value, value)) <= 1e-6);
  CHECK(relative_error(doubles(b.node->memory()), slopes(b.value, value)) <= 1e-6);
  CHECK(relative_error(doubles(w.node->memory()), slopes(w.value, value)) <= 1e-6);
}

TEST_CASE("two layers in one sum are the sum of two, and pass finite differences, with one input for both too") {
  auto device = make_cpu_device();
  Leaf x(random_tensor(*device, {5, 4}, DType::f64, 1)), w(random_tensor(*device, {3, 4}, DType::f64, 2)),
      b(random_tensor(*device, {3}, DType::f64, 3)), w2(random_tensor(*device, {3, 4}, DType::f64, 4)),
      x2(random_tensor(*device, {5, 4}, DType::f64, 5));
  for (Leaf* second : {&x2, &x}) {
    for (Leaf* each : {&x, &w, &b, &w2, &x2}) each->node->bind(each->node->memory(), false);
    const auto f = [&](const Variable& in, const Variable& in2) {
      return sum(square(linear_sum({in, w.variable()}, b.variable(), {in2, w2.variable()})));
    };
    backward(f(x.variable(), second->variable()));
    const auto value = [&] { return *f(x.value, second->value).value().data<double>(); };
    for (Leaf* each : {&x, &w, &b, &w2, second}) CHECK(relative_error(doubles(each->node->memory()), slopes(each->value, value)) <= 1e-6);
  }
  const Variable apart = linear(x.value, w.value, b.value) + linear(x2.value, w2.value);
  const Variable wv(w.value), w2v(w2.value), xv(x.value), x2v(x2.value);
  CHECK(relative_error(doubles(linear_sum({xv, wv}, b.value, {x2v, w2v}).value()), doubles(apart.value())) <= 1e-15);
  const Variable narrow(random_tensor(*device, {2, 4}, DType::f64, 6));
  CHECK_THROWS_WITH(linear_sum({xv, wv}, b.value, {x2v, narrow}), Catch::Contains("[5, 4] by [2, 4] give no equal shapes"));
}

TEST_CASE("every element-wise function passes finite differences") {
  auto device = make_cpu_device();
  for (const Unary f : {Unary::relu, Unary::leaky_relu, Unary::elu, Unary::gelu, Unary::sigmoid, Unary::tanh, Unary::square,
                        Unary::absolute, Unary::exponential, Unary::logarithm, Unary::square_root, Unary::affine, Unary::clamp}) {
    CAPTURE(static_cast<int>(f));
    Leaf x(random_tensor(*device, {29}, DType::f64, 1));
    if (f == Unary::logarithm || f == Unary::square_root)
      for (std::int64_t i = 0; i < 29; ++i) x.value.data<double>()[i] = 0.2 + std::fabs(x.value.data<double>()[i]);
    const double low = f == Unary::clamp ? -0.5 : 0.7, high = 0.9;
    backward(sum(map(f, x.variable(), low, high)));
    CHECK(relative_error(doubles(x.node->memory()),
                         slopes(x.value, [&] { return *sum(map(f, Variable(x.value), low, high)).value().data<double>(); })) <= 1e-6);
  }
}

TEST_CASE("what was kept for backward goes with each operation, not with the graph") {
  auto device = make_cpu_device();
  constexpr std::int64_t kElements = 1 << 16;
  Leaf x(random_tensor(*device, {kElements}, DType::f32, 1));
  Variable y = x.variable();
  for (int i = 0; i < 32; ++i) y = map(Unary::tanh, y);
  const Variable loss = sum(y);
  y = Variable(Tensor());
  const std::uint64_t before = device->memory().bytes_live;
  backward(loss);
  CHECK(before - device->memory().bytes_live >= 30 * kElements * sizeof(float));  // the graph is still there, its tensors are not
}

TEST_CASE("a gradient is announced once, after its last use, the last layer's first") {
  auto device = make_cpu_device();
  Leaf first(random_tensor(*device, {4, 4}, DType::f32, 1)), tied(random_tensor(*device, {4, 4}, DType::f32, 2)),
      last(random_tensor(*device, {1, 4}, DType::f32, 3));
  std::string order;
  first.node->on_ready([&] { order += "first "; });
  tied.node->on_ready([&] { order += "tied "; });
  last.node->on_ready([&] { order += "last "; });
  const Variable x(random_tensor(*device, {5, 4}, DType::f32, 4));
  const Variable h = linear(x, first.variable());
  backward(sum(linear(linear(tanh(linear(h, tied.variable())), tied.variable()), last.variable())));
  CHECK(order == "last tied first ");
}

TEST_CASE("two passes into one gradient give the sum") {
  auto device = make_cpu_device();
  Leaf w(random_tensor(*device, {2, 3}, DType::f64, 1));
  const Variable x(random_tensor(*device, {5, 3}, DType::f64, 2)), y(random_tensor(*device, {7, 3}, DType::f64, 3));
  backward(sum(linear(x, w.variable())));
  const auto one = doubles(w.node->memory());
  w.node->bind(w.node->memory(), true);
  backward(sum(linear(y, w.variable())));
  const auto both = doubles(w.node->memory());
  w.node->bind(w.node->memory(), false);
  backward(sum(linear(y, w.variable())));
  const auto two = doubles(w.node->memory());
  for (std::size_t i = 0; i < one.size(); ++i) CHECK(both[i] == Approx(one[i] + two[i]));
}

TEST_CASE("shapes that do not fit are refused with both") {
  auto device = make_cpu_device();
  const Variable x(random_tensor(*device, {2, 3}, DType::f32, 1)), y(random_tensor(*device, {2, 4}, DType::f32, 1));
  CHECK_THROWS_WITH(linear(x, y), Catch::Contains("expected x [*, 4], got [2, 3]"));
  CHECK_THROWS_WITH(x + y, Catch::Contains("[2, 3] and [2, 4]"));
  CHECK_THROWS_AS(reshape(x, {5}), ShapeError);
}
