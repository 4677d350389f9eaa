// Batch normalisation and layers beside each other against PyTorch, in double and in single precision. The values: residual_values.py.
#include "golden_file.hpp"

#include <catch2/catch.hpp>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/tests/contracts/differences.hpp>
#include <chorale/tests/train/results.hpp>

using namespace chorale;

namespace {

using Numbers = std::vector<double>;

double residual_bound(DType dtype, double narrow) { return dtype == DType::f64 ? 1e-12 : narrow; }

Tensor made(Device& device, std::vector<std::int64_t> dims, DType dtype, const Numbers& numbers) {
  Tensor t = Tensor::empty(device, Shape(std::move(dims)), dtype);
  REQUIRE(t.elements() == static_cast<std::int64_t>(numbers.size()));
  with_float_type(dtype, [&]<class T>() { std::copy(numbers.begin(), numbers.end(), t.data<T>()); });
  return t;
}

void write_state(const FlatParams& params, const nlohmann::json& state) {
  REQUIRE(params.entries().size() == state.size());
  for (const auto& e : params.entries()) {
    const Numbers start = state.at(e.name);
    REQUIRE(static_cast<std::int64_t>(start.size()) == e.count);
    with_float_type(params.dtype(), [&]<class T>() { std::ranges::copy(start, params.values().as<T>() + e.first); });
  }
}

struct Case {
  Case(const nlohmann::json& c, std::int64_t n, DType dtype, Device& d, const Registry& registry)
      : device(d),
        row(c.at("row").get<std::vector<std::int64_t>>()),
        model(build_layers(c.at("layers").get<std::string>(), Shape(row), registry)),
        params(*model, device, dtype),
        arena(Tensor::zeros(device, {params.elements()}, dtype)),
        gradient(Tensor::zeros(device, {params.elements()}, dtype)),
        staged(Tensor::zeros(device, {params.buffer_elements()}, dtype)) {
    params.bind(arena.buffer());
    params.bind_gradients(gradient.buffer(), false);
    write_state(params, c.at("start"));
    row.insert(row.begin(), n);
  }
  Numbers evaluated(const nlohmann::json& c) {
    return doubles(model->forward(Variable(made(device, row, params.dtype(), c.at("x"))), Pass{.device = device}).value());
  }
  /// What a trainer does once a step.
  void update_buffers() {
    for (RunningStatistics* each : model->statistics()) each->absorb(), each->finish();
    device.copy(arena.buffer().part(params.first_buffer(), params.buffer_elements()).data, staged.raw(), staged.bytes());
  }
  Device& device;
  std::vector<std::int64_t> row;
  std::unique_ptr<Sequential> model;
  FlatParams params;
  Tensor arena, gradient, staged;
};

void check_training(const nlohmann::json& c, Case& mine, DType dtype) {
  Leaf x(made(mine.device, mine.row, dtype, c.at("x")));
  mine.params.stage_in(mine.staged.buffer());
  const Variable y = mine.model->forward(x.variable(), Pass{.device = mine.device, .training = true});
  CHECK(relative_error(doubles(y.value()), c.at("y").get<Numbers>()) <= residual_bound(dtype, 1e-5));
  Tensor dy = Tensor::empty(mine.device, y.shape(), dtype);
  const Numbers numbers = c.at("dy");
  with_float_type(dtype, [&]<class T>() { std::ranges::copy(numbers, dy.data<T>()); });
  backward(y, dy);
  CHECK(relative_error(doubles(x.node->memory()), c.at("dx").get<Numbers>()) <= residual_bound(dtype, 1e-4));
  for (const auto& e : mine.params.entries()) {
    CAPTURE(e.name);
    if (!c.at("gradients").contains(e.name)) continue;
    const Numbers expected = c.at("gradients").at(e.name), found = doubles(e.parameter->leaf().memory());
    double difference = 0, length = 0;  // some are 0 but for rounding: a bias in front of batch_norm
    for (std::size_t i = 0; i < expected.size(); ++i) difference += std::pow(found[i] - expected[i], 2), length += std::pow(expected[i], 2);
    CHECK(std::sqrt(difference) <= residual_bound(dtype, 1e-4) * std::max(1.0, std::sqrt(length)));
  }
}

}  // namespace

TEST_CASE("batch_norm, residual and concat give PyTorch's results, gradients and running statistics") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  const nlohmann::json values = golden("residual_values.json");
  REQUIRE(values.at("cases").size() >= 11);
  for (const auto& c : values.at("cases"))
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(c.at("layers").get<std::string>(), name(dtype));
      Case mine(c, values.at("rows"), dtype, *device, registry);
      check_training(c, mine, dtype);
      mine.update_buffers();
      for (const auto& e : mine.params.entries()) {
        CAPTURE(e.name);
        if (c.at("buffers").contains(e.name))
          CHECK(relative_error(doubles(e.parameter->value()), c.at("buffers").at(e.name).get<Numbers>()) <= residual_bound(dtype, 1e-5));
      }
      CHECK(relative_error(mine.evaluated(c), c.at("evaluated").get<Numbers>()) <= residual_bound(dtype, 1e-5));
    }
}

TEST_CASE("five updates of a small residual network are PyTorch's, with its running statistics and its loss in evaluation") {
  const nlohmann::json values = golden("residual_values.json").at("updates");
  const std::vector<float> x = values.at("x"), target = values.at("target");
  auto data = std::make_shared<TensorDataset>(static_cast<std::int64_t>(target.size()));
  data->add("x", {72}, std::vector<float>(x));
  data->add("target", {}, std::vector<float>(target));
  const std::string block = "conv2d(3, 3, padding=1, bias=false) batch_norm relu conv2d(3, 3, padding=1, bias=false) batch_norm";
  SmallRun run;
  run.layers =
      "reshape(6x6x2) conv2d(3, 3, padding=1, bias=false) batch_norm relu residual(" + block +
      ") relu residual(conv2d(5, 3, stride=2, padding=1, bias=false) batch_norm relu conv2d(5, 3, padding=1, bias=false) batch_norm "
      "| conv2d(5, 1, stride=2, bias=false) batch_norm) relu adaptive_avg_pool2d(1) flatten linear(3)";
  run.features = 72;
  run.train = run.validation = data;
  run.config.train.batch = data->rows(), run.config.train.epochs = 5, run.config.train.loss = "cross_entropy";
  run.config.starting_weights = [&](const FlatParams& params) { write_state(params, values.at("start")); };
  run.optimizer = {.name = "sgd", .lr = 0.1, .momentum = 0.9, .weight_decay = 0.01};
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string dtype : {"f64", "f32"}) {
    CAPTURE(dtype);
    run.config.train.dtype = dtype;
    const auto result = run.run();
    check_no_errors(result);
    const auto model = build_layers(run.layers, {72}, registry);
    const FlatParams params(*model, *device, parse_dtype(dtype));
    const double bound = dtype == "f64" ? 1e-11 : 1e-4;
    for (const auto& e : params.entries()) {
      CAPTURE(e.name);
      const Numbers end(result.parameters.begin() + e.first, result.parameters.begin() + e.first + e.count);
      CHECK(relative_error(end, values.at("end").at(e.name)) <= bound);
    }
    CHECK(result.summary.metrics.at("validation").at("loss") == Approx(values.at("evaluated_loss").get<double>()).epsilon(bound));
  }
}
