// A model that publishes and listens: what it adds to its own layers, and what it leaves as it was.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/fused_model.hpp>

using namespace chorale;

namespace {

std::unique_ptr<Sequential> own_layers() {
  Registry registry;
  register_all(registry);
  return build_layers("linear(6) relu dropout(0.3) linear(2)", {4}, registry);
}

/// A model with its memory, drawn from one seed.
template <class M>
struct Held {
  explicit Held(std::unique_ptr<M> m, DType dtype = DType::f64)
      : device(make_cpu_device()), model(std::move(m)), params(*model, *device, dtype) {
    memory = Tensor::zeros(*device, {params.elements()}, dtype);
    gradients = Tensor::zeros(*device, {params.trainable_elements()}, dtype);
    params.bind(memory.buffer());
    params.initialise(7, "torch");
    params.bind_gradients(gradients.buffer(), false);
  }
  std::span<double> values_of(const std::string& name, const Tensor& in) const {
    for (const auto& e : params.entries())
      if (e.name == name) return {in.data<double>() + e.first, static_cast<std::size_t>(e.count)};
    throw UsageError("no parameter " + name);
  }
  Pass pass(bool training) const { return {.device = *device, .training = training, .random_key = 5, .first_position = 0}; }
  std::unique_ptr<Device> device;
  std::unique_ptr<M> model;
  FlatParams params;
  Tensor memory, gradients;
};

Tensor rows(Device& device, std::int64_t n, std::int64_t columns, double start) {
  Tensor t = Tensor::empty(device, {n, columns}, DType::f64);
  for (std::int64_t i = 0; i < t.elements(); ++i) t.data<double>()[i] = std::sin(start + 0.7 * static_cast<double>(i));
  return t;
}

bool equal(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0; }

std::unique_ptr<FusedModel> fused(const FusionOptions& options) { return std::make_unique<FusedModel>(own_layers(), Shape{4}, options); }

}  // namespace

TEST_CASE("before it has learnt anything a fused model gives what its own layers give alone, dropout included") {
  const Held<Sequential> alone(own_layers());
  for (const std::int64_t hidden : {0, 5}) {
    const Held<FusedModel> both(fused({.width = 3, .peers = 2, .hidden = hidden}));
    for (const bool training : {false, true}) {
      const Values in{{"x", rows(*both.device, 5, 4, 1)}, {"shared", rows(*both.device, 5, 6, 2)}};
      const Values out = both.model->forward(in, both.pass(training));
      CHECK(equal(out.at("y").value(), alone.model->forward(in, alone.pass(training)).at("y").value()));
      CHECK(out.at("entity").value().shape() == Shape{5, 3});
      CHECK((out.find("entity_y") != nullptr) == training);
    }
  }
}

TEST_CASE("each peer comes in by its gate, and a closed one leaves no trace") {
  const Held<FusedModel> held(fused({.width = 2, .exports = false, .peers = 2, .starts_at_zero = false}));
  FusedModel& model = *held.model;
  const Tensor x = rows(*held.device, 3, 4, 1), shared = rows(*held.device, 3, 4, 2);
  const auto y_of = [&](const Tensor& from) { return model.forward({{"x", x}, {"shared", from}}, held.pass(false)).at("y").value(); };
  const Tensor open = y_of(shared);
  CHECK_FALSE(equal(open, model.own().forward(Variable(x), held.pass(false)).value()));
  model.set_open(1, false);
  Tensor other = rows(*held.device, 3, 4, 2);
  for (std::int64_t r = 0; r < 3; ++r) other.data<double>()[4 * r + 2] = 99, other.data<double>()[4 * r + 3] = -99;
  CHECK(equal(y_of(shared), y_of(other)));
  CHECK_FALSE(equal(y_of(shared), open));
  // sigmoid(0) = 1/2 of what comes in, by hand.
  const auto w = held.values_of("fusion.0.weight", held.memory), b = held.values_of("fusion.0.bias", held.memory);
  const Tensor own = model.own().forward(Variable(x), held.pass(false)).value(), y = y_of(shared);
  const double* s = shared.data<double>();
  for (std::size_t c = 0; c < 2; ++c)
    CHECK(y.data<double>()[c] == Approx(own.data<double>()[c] + 0.5 * (w[4 * c] * s[0] + w[4 * c + 1] * s[1]) + b[c]));
  model.set_open(0, false);
  CHECK_FALSE(model.any_open());
  CHECK(equal(y_of(shared), own));
}

TEST_CASE("gradients of gates, fusion and exporter are those of finite differences") {
  Held<FusedModel> held(fused({.width = 2, .peers = 2, .hidden = 3, .starts_at_zero = false}));
  const Tensor x = rows(*held.device, 3, 4, 1), shared = rows(*held.device, 3, 4, 2);
  const auto loss = [&] {
    const Values out = held.model->forward({{"x", x}, {"shared", shared}}, held.pass(true));
    return sum(square(out.at("y"))) + 0.3 * sum(square(out.at("entity_y")));
  };
  held.params.bind_gradients(held.gradients.buffer(), false);
  backward(loss());
  held.params.finish_gradients();
  for (const std::string name : {"gates", "join.weight", "join_own.weight", "fusion.0.bias", "exporter.weight", "exporter_in.weight",
                                 "exporter_head.weight", "0.weight"}) {
    const std::span<double> values = held.values_of(name, held.memory), gradients = held.values_of(name, held.gradients);
    double greatest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double kept = values[i], h = 1e-6;
      values[i] = kept + h;
      const double above = loss().value().data<double>()[0];
      values[i] = kept - h;
      const double below = loss().value().data<double>()[0];
      values[i] = kept;
      CHECK(gradients[i] == Approx((above - below) / (2 * h)).margin(1e-7));
      greatest = std::max(greatest, std::fabs(gradients[i]));
    }
    CHECK(greatest > 0);
  }
}

TEST_CASE("what does not fit is refused") {
  Registry registry;
  register_all(registry);
  CHECK_THROWS_WITH(FusedModel(build_layers("linear(3)", {2, 4}, registry), {2, 4}, {}), Catch::Contains("flat rows"));
  const Held<FusedModel> held(fused({.width = 2, .peers = 2}));
  CHECK_THROWS_WITH(held.model->forward({{"x", rows(*held.device, 3, 4, 1)}, {"shared", rows(*held.device, 3, 2, 1)}}, held.pass(false)),
                    Catch::Contains("\"shared\" [B, 4], got [3, 2]"));
}
