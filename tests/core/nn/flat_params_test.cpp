// The arena: order, alignment, segments; what parameters hold at step 0.
#include <catch2/catch.hpp>

#include <cmath>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/linear.hpp>
#include <chorale/core/nn/sequential.hpp>

using namespace chorale;

namespace {

/// Three parameters of three kinds, and one that is named like another if asked.
struct Mixed : Module {
  explicit Mixed(bool twice = false) {
    add_parameter("first", {3}, {Init::Role::ones}), add_parameter("frozen", {5}, {Init::Role::ones}, Segment::frozen);
    add_parameter("statistics", {2, 2}, {Init::Role::zeros}, Segment::buffer);
    add_parameter(twice ? "first" : "last", {4, 5}, {Init::Role::weight, 5, 4});
  }
  Values forward(const Values& in, const Pass&) override { return in; }
  std::string name() const override { return "mixed"; }
};

struct Drawn {
  double least = 1e9, greatest = -1e9, mean = 0, deviation = 0;
};

Drawn weights_of(const std::string& scheme, std::uint64_t seed, double* bias = nullptr) {
  auto device = make_cpu_device();
  Linear layer(300, 200);
  FlatParams params(layer, *device, DType::f64);
  const Tensor memory = Tensor::zeros(*device, {params.elements()}, DType::f64);
  params.bind(memory.buffer());
  params.initialise(seed, scheme);
  Drawn out;
  for (const auto& e : params.entries()) {
    const std::span<double> values(memory.data<double>() + e.first, static_cast<std::size_t>(e.count));
    if (e.name == "bias" && bias)
      for (const double v : values) *bias = std::max(*bias, std::fabs(v));
    if (e.name != "weight") continue;
    for (const double v : values) {
      out.least = std::min(out.least, v), out.greatest = std::max(out.greatest, v), out.mean += v / static_cast<double>(e.count);
      out.deviation += v * v / static_cast<double>(e.count);
    }
  }
  out.deviation = std::sqrt(out.deviation);
  return out;
}

}  // namespace

TEST_CASE("the arena holds trainable parameters in reverse order first, then frozen ones, then buffers, each at 64 bytes") {
  auto device = make_cpu_device();
  for (const DType dtype : {DType::f32, DType::f64}) {
    Mixed model;
    FlatParams params(model, *device, dtype);
    std::vector<std::string> names;
    for (const auto& e : params.entries()) {
      names.push_back(e.name);
      CHECK(e.first * static_cast<std::int64_t>(size_bytes(dtype)) % 64 == 0);
      CHECK(params.name_at(e.first + e.count - 1) == e.name);
    }
    CHECK(names == std::vector<std::string>{"last", "first", "frozen", "statistics"});
    CHECK(params.trainable_elements() == params.entries()[2].first);
    CHECK(params.parameter_count() == 20 + 3 + 5);
    CHECK(params.name_at(3 + params.entries()[1].first) == "gap");
  }
  Mixed twice(true);
  CHECK_THROWS_WITH(FlatParams(twice, *device, DType::f32), Catch::Contains("'first'"));
}

TEST_CASE("each scheme of starting weights has its distribution") {
  const double uniform = 1 / std::sqrt(3.0);  // deviation of U(-1, 1)
  const auto check = [&](const std::string& scheme, double deviation, bool bounded) {
    CAPTURE(scheme);
    double bias = 0;
    const Drawn drawn = weights_of(scheme, 1, &bias);
    CHECK(drawn.deviation == Approx(deviation).epsilon(0.02));  // 60,000 numbers: about 0.3 per cent
    CHECK(std::fabs(drawn.mean) < 0.02 * deviation);
    if (bounded) CHECK((drawn.greatest <= deviation / uniform && drawn.least >= -deviation / uniform));
    if (!bounded) CHECK(drawn.greatest > 3 * deviation);
    CHECK((bias > 0) == (scheme == "torch"));
  };
  check("torch", uniform / std::sqrt(300.0), true);
  check("glorot_uniform", std::sqrt(2 / 500.0), true);
  check("glorot_normal", std::sqrt(2 / 500.0), false);
  check("he_uniform", std::sqrt(2 / 300.0), true);
  check("he_normal", std::sqrt(2 / 300.0), false);
  CHECK_THROWS_WITH(weights_of("xavier", 1), Catch::Contains("glorot_uniform"));
  CHECK(weights_of("torch", 1).mean == weights_of("torch", 1).mean);
  CHECK(weights_of("torch", 1).mean != weights_of("torch", 2).mean);
}
