// Our mathematics against PyTorch's, in double and in single precision. The values: pytorch_values.py.
#include "golden_file.hpp"

#include <catch2/catch.hpp>

#include <set>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/train/trainer.hpp>
#include <chorale/tests/contracts/differences.hpp>

using namespace chorale;

namespace {

using Numbers = std::vector<double>;

Tensor tensor(Device& device, const Shape& shape, DType dtype, const Numbers& numbers) {
  Tensor t = Tensor::empty(device, shape, dtype);
  REQUIRE(t.elements() == static_cast<std::int64_t>(numbers.size()));
  with_float_type(dtype, [&]<class T>() { std::copy(numbers.begin(), numbers.end(), t.data<T>()); });
  return t;
}

/// f64 differs from PyTorch by rounding alone; f32 by the bound that fast paths have (relative to the tensor's norm).
double bound(DType dtype) { return dtype == DType::f64 ? 1e-12 : 1e-5; }

OptimizerOptions options_of(const nlohmann::json& words, const std::string& name) {
  OptimizerOptions o{.name = name};
  const std::map<std::string, double*> numbers = {
      {"lr", &o.lr},       {"momentum", &o.momentum}, {"dampening", &o.dampening}, {"beta1", &o.beta1},
      {"beta2", &o.beta2}, {"eps", &o.eps},           {"alpha", &o.alpha},         {"weight_decay", &o.weight_decay}};
  for (const auto& [key, value] : words.items()) {
    if (key == "nesterov")
      o.nesterov = value;
    else
      *numbers.at(key) = value;
  }
  return o;
}

/// The network 5-4-1 of the golden file, in an arena and with an optimiser.
struct Network {
  Network(const nlohmann::json& values, Device& device, DType dtype, const Registry& registry)
      : model(build_layers("linear(4) tanh linear(1)", {5}, registry)),
        params(*model, device, dtype),
        arena(Tensor::zeros(device, {params.elements()}, dtype)),
        gradient(Tensor::zeros(device, {params.elements()}, dtype)) {
    params.bind(arena.buffer());
    with_float_type(dtype, [&]<class T>() {
      for (const auto& e : params.entries()) std::ranges::copy(values.at("start").at(e.name).get<Numbers>(), arena.data<T>() + e.first);
    });
  }
  Numbers of(const Tensor& memory, const FlatParams::Entry& e) const {
    const Numbers all = doubles(memory);
    return {all.begin() + e.first, all.begin() + e.first + e.count};
  }
  std::unique_ptr<Sequential> model;
  FlatParams params;
  Tensor arena, gradient;
};

/// Five updates by hand: forward, loss, backward, one block.
void five_steps(const nlohmann::json& values, const OptimizerOptions& options, DType dtype) {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  Network net(values, *device, dtype, registry);
  auto loss = make_loss({}, {}, registry);
  auto rule = make_optimizer(options, registry);
  std::vector<Tensor> memory;
  std::vector<Buffer> state;
  for (std::size_t i = 0; i < rule->state_names().size(); ++i)
    state.push_back(memory.emplace_back(Tensor::zeros(*device, {net.params.elements()}, dtype)).buffer());
  rule->bind(state);
  const Variable x(tensor(*device, {6, 5}, dtype, values.at("x")));
  const Tensor target = tensor(*device, {6}, dtype, values.at("target")), weight = tensor(*device, {6}, dtype, values.at("weight"));
  const Numbers weights = values.at("weight");
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (int step = 1; step <= 5; ++step) {
    net.params.bind_gradients(net.gradient.buffer(), false);
    const Variable logits = net.model->forward(x, {.device = *device, .training = true});
    const LossValue value = loss->forward(logits, target, weight);
    backward(value.total);
    if (step == 1) {
      CHECK(relative_error(doubles(logits.value()), values.at("logits")) <= bound(dtype));
      CHECK(relative_error({doubles(value.total.value())[0] / total}, {values.at("loss")}) <= bound(dtype));
      for (const auto& e : net.params.entries()) {
        CAPTURE(e.name);
        Numbers mean = net.of(net.gradient, e);
        for (double& g : mean) g /= total;
        CHECK(relative_error(mean, values.at("gradients").at(e.name)) <= bound(dtype));
      }
    }
    rule->begin_step(step, 1 / total);
    with_float_type(
        dtype, [&]<class T>() { rule->template apply<T>(*device, net.arena.data<T>(), net.gradient.data<T>(), 0, net.params.elements()); });
  }
  for (const auto& e : net.params.entries()) {
    CAPTURE(e.name);
    CHECK(relative_error(net.of(net.arena, e), values.at("end").at(e.name)) <= bound(dtype));
  }
}

}  // namespace

TEST_CASE("a two-layer network has PyTorch's forward, loss, gradients and five steps of SGD and Adam") {
  const auto networks = golden("pytorch_values.json").at("networks");
  for (const DType dtype : {DType::f64, DType::f32}) {
    CAPTURE(name(dtype));
    five_steps(networks.at("sgd"), {.name = "sgd", .lr = 0.1, .momentum = 0.9, .nesterov = true}, dtype);
    five_steps(networks.at("adam"), {.name = "adam", .lr = 0.01}, dtype);
  }
}

TEST_CASE("every activation has PyTorch's values and slopes") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  const auto cases = golden("pytorch_values.json").at("activations");
  for (const auto& [expression, values] : cases.items()) {
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(expression, name(dtype));
      const std::int64_t n = static_cast<std::int64_t>(values.at("x").size());
      const auto layer = build_layers(expression, {n}, registry);
      Leaf x(tensor(*device, {1, n}, dtype, values.at("x")));
      const Variable y = layer->forward(x.variable(), {.device = *device, .training = true});
      backward(sum(y));
      CHECK(relative_error(doubles(y.value()), values.at("y")) <= bound(dtype));
      if (expression != "softmax")  // whose slopes of a sum are 0 but for rounding
        CHECK(relative_error(doubles(x.node->memory()), values.at("dx")) <= bound(dtype));
    }
  }
}

TEST_CASE("losses have PyTorch's sums and gradients with their options, sample and class weights") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  std::set<std::string> left;
  for (const std::string& name : registry.of<LossEntry>().names()) left.insert(name);
  for (const auto& values : golden("loss_values.json")) {
    const std::string loss_name = values.at("loss");
    left.erase(loss_name);
    const auto& given = values.at("options");
    LossOptions options{.class_weights = values.at("class_weights")};
    options.label_smoothing = given.value("label_smoothing", options.label_smoothing);
    options.focal_gamma = given.value("focal_gamma", options.focal_gamma);
    options.quantile = given.value("quantile", options.quantile);
    options.tweedie_power = given.value("tweedie_power", options.tweedie_power);
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(loss_name, given.dump(), name(dtype));
      auto loss = registry.of<LossEntry>().at(loss_name, "loss").make(options);
      Leaf z(tensor(*device, {9, values.at("columns")}, dtype, values.at("z")));
      const LossValue value =
          loss->forward(z.variable(), tensor(*device, {9}, dtype, values.at("target")), tensor(*device, {9}, dtype, values.at("weight")));
      backward(value.total);
      CHECK(relative_error(doubles(value.total.value()), {values.at("total")}) <= bound(dtype));
      CHECK(relative_error(doubles(z.node->memory()), values.at("dz")) <= bound(dtype));
    }
  }
  CHECK(left == std::set<std::string>{"huber", "mae", "mse"});  // without options, below
}

TEST_CASE("losses have PyTorch's sums and gradients without options, with sample and class weights") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  const auto cases = golden("pytorch_values.json").at("losses");
  for (const auto& item : cases.items()) {
    const std::string& loss_name = item.key();
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(loss_name, name(dtype));
      const auto& values = cases.at(loss_name);
      auto loss = registry.of<LossEntry>()
                      .at(loss_name, "loss")
                      .make({.class_weights = values.value("class_weights", Numbers{}), .huber_delta = 0.8});
      Leaf z(tensor(*device, {7, values.at("columns")}, dtype, values.at("z")));
      const LossValue value =
          loss->forward(z.variable(), tensor(*device, {7}, dtype, values.at("target")), tensor(*device, {7}, dtype, values.at("weight")));
      backward(value.total);
      CHECK(relative_error(doubles(value.total.value()), {values.at("total")}) <= bound(dtype));
      CHECK(relative_error(doubles(z.node->memory()), values.at("dz")) <= bound(dtype));
    }
  }
}

TEST_CASE("sgd, adam, rmsprop and adagrad follow PyTorch's over six updates, with each of their options") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  const auto cases = golden("pytorch_values.json").at("optimisers");
  for (const auto& values : cases) {
    const std::string rule_name = values.at("name");
    CAPTURE(rule_name, values.at("options").dump());
    auto rule = make_optimizer(options_of(values.at("options"), rule_name), registry);
    Tensor p = tensor(*device, {9}, DType::f64, values.at("start"));
    std::vector<Tensor> memory;
    std::vector<Buffer> state;
    for (std::size_t i = 0; i < rule->state_names().size(); ++i)
      state.push_back(memory.emplace_back(Tensor::zeros(*device, {9}, DType::f64)).buffer());
    rule->bind(state);
    for (int step = 1; step <= 6; ++step) {
      const Tensor g = tensor(*device, {9}, DType::f64, values.at("gradients").at(static_cast<std::size_t>(step - 1)));
      rule->begin_step(step, 1);
      rule->apply<double>(*device, p.data<double>(), g.data<double>(), 0, 9);
    }
    CHECK(relative_error(doubles(p), values.at("end")) <= 1e-12);
  }
}
