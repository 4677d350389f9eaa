// What attention promises beside its values: no matrix of T x T, nothing of what comes after, places told apart.
#include <catch2/catch.hpp>

#include <cmath>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/autograd/sequence_ops.hpp>
#include <chorale/core/nn/embedding.hpp>
#include <chorale/tests/contracts/differences.hpp>

using namespace chorale;

TEST_CASE("attention keeps and makes no matrix of T x T") {
  auto device = make_cpu_device();
  constexpr std::int64_t kTime = 1024;
  Leaf qkv(random_tensor(*device, {1, kTime, 3 * 16}, DType::f32, 1));
  const auto before = device->memory().bytes_live;
  {
    const Variable y = attention(qkv.variable(), {.heads = 4, .is_causal = true});
    CHECK(device->memory().bytes_live - before < 2 * (kTime * 16 + kTime * 4) * sizeof(float));
    backward(sum(y));
  }
  CHECK(device->memory().bytes_peak - before < kTime * kTime * sizeof(float) / 2);  // one head's weights would be twice that
}

TEST_CASE("with a causal mask a place's result does not change with what comes after") {
  auto device = make_cpu_device();
  for (const std::int64_t time : {5, 64, 65, 200}) {
    CAPTURE(time);
    const Tensor qkv = random_tensor(*device, {1, time, 3 * 6}, DType::f32, 1);
    const AttentionOptions options{.heads = 2, .is_causal = true};
    const auto whole = doubles(attention(Variable(qkv), options).value());
    for (std::int64_t i = (time - 1) * 18; i < time * 18; ++i) qkv.data<float>()[i] += 3;
    const auto changed = doubles(attention(Variable(qkv), options).value());
    const auto border = static_cast<std::ptrdiff_t>((time - 1) * 6);
    CHECK(std::equal(whole.begin(), whole.begin() + border, changed.begin()));
    CHECK_FALSE(std::equal(whole.begin() + border, whole.end(), changed.begin() + border));
  }
}

TEST_CASE("attention of large scores neither overflows nor loses its weights") {
  auto device = make_cpu_device();
  Tensor qkv = random_tensor(*device, {1, 130, 3 * 4}, DType::f32, 3, 60);  // scores of some thousand
  Tensor wide = Tensor::empty(*device, qkv.shape(), DType::f64);
  for (std::int64_t i = 0; i < qkv.elements(); ++i) wide.data<double>()[i] = qkv.data<float>()[i];
  const auto y = doubles(attention(Variable(qkv), {.heads = 1}).value()), exact = doubles(attention(Variable(wide), {.heads = 1}).value());
  CHECK(relative_error(y, exact) < 1e-3);  // a score of 10,000 has three digits behind the point
}

TEST_CASE("shapes that attention and positions cannot take are refused") {
  auto device = make_cpu_device();
  const Variable x(random_tensor(*device, {2, 3, 8}, DType::f32, 1));
  CHECK_THROWS_AS(attention(x, {.heads = 2}), ShapeError);
  CHECK_THROWS_AS(attention(x, {.heads = 0}), ShapeError);
  CHECK_THROWS_AS(add_positions(x, Variable(random_tensor(*device, {2, 8}, DType::f32, 1))), ShapeError);
  CHECK_THROWS_AS(lookup(x.value(), Variable(random_tensor(*device, {2, 8}, DType::f32, 1))), ShapeError);
}

TEST_CASE("sinusoidal positions are those of Vaswani et al., and shorter sequences get the first of them") {
  auto device = make_cpu_device();
  SinusoidalPositions layer;
  const auto of = [&](std::int64_t time) {
    return doubles(layer.forward(Variable(Tensor::zeros(*device, {1, time, 6}, DType::f64)), Pass{.device = *device}).value());
  };
  const auto seven = of(7), three = of(3);
  for (int t = 0; t < 7; ++t)
    for (int c = 0; c < 6; ++c) {
      const double angle = t / std::pow(10000.0, c / 2 * 2 / 6.0);
      CHECK(seven[static_cast<std::size_t>(t * 6 + c)] == Approx(c % 2 ? std::cos(angle) : std::sin(angle)));
    }
  CHECK(std::equal(three.begin(), three.end(), seven.begin()));
}
