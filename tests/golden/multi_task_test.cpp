// Models of several tasks against PyTorch's, in double and in single precision. The values: multi_task_values.py.
#include "golden_file.hpp"

#include <cmath>
#include <numeric>

#include <catch2/catch.hpp>

#include <chorale/core/loss/multi_task_loss.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/multi_task.hpp>
#include <chorale/tests/contracts/differences.hpp>
#include <chorale/train/gradient_surgery.hpp>

using namespace chorale;

namespace {

using Numbers = std::vector<double>;
constexpr std::int64_t kRows = 6, kFeatures = 5;
const std::map<std::string, std::pair<std::string, std::int64_t>> kTasks = {
    {"buys", {"binary_cross_entropy", 1}}, {"group", {"cross_entropy", 3}}, {"spend", {"mse", 1}}};

/// f64 differs from PyTorch by rounding alone; f32 by the bound that fast paths have (relative to the tensor's norm).
double bound(DType dtype) { return dtype == DType::f64 ? 1e-12 : 1e-5; }

Tensor tensor(Device& device, const Shape& shape, DType dtype, const nlohmann::json& numbers) {
  Tensor t = Tensor::empty(device, shape, dtype);
  REQUIRE(t.elements() == static_cast<std::int64_t>(numbers.size()));
  with_float_type(dtype, [&]<class T>() {
    for (std::size_t i = 0; i < numbers.size(); ++i)
      t.data<T>()[i] = numbers[i].is_null() ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(numbers[i].get<double>());
  });
  return t;
}

/// A model of the golden file with its starting values, and the batch.
struct Bound {
  Bound(const nlohmann::json& golden, const std::string& kind, const nlohmann::json& start, const std::vector<std::string>& tasks,
        bool learns_weights, DType type)
      : dtype(type), device(make_cpu_device()) {
    register_all(registry);
    MultiTaskOptions o{
        .tasks = {}, .expert_layers = "linear(3) tanh", .tower_layers = "linear(2) tanh", .experts = 2, .learns_weights = learns_weights};
    std::vector<MultiTaskLoss::Task> parts;
    for (const std::string& name : tasks) {
      o.tasks.push_back({name, kTasks.at(name).second});
      parts.push_back({.name = name, .loss = registry.of<LossEntry>().at(kTasks.at(name).first, "loss").make({})});
    }
    model = registry.of<MultiTaskEntry>().at(kind, "model").make(o, kFeatures, registry);
    loss = std::make_unique<MultiTaskLoss>(std::move(parts), learns_weights);
    params = std::make_unique<FlatParams>(*model, *device, dtype);
    arena = Tensor::zeros(*device, {params->elements()}, dtype), gradient = Tensor::zeros(*device, {params->elements()}, dtype);
    params->bind(arena.buffer());
    with_float_type(dtype, [&]<class T>() {
      for (const auto& e : params->entries()) {
        const auto values = start.at(e.name).get<Numbers>();
        REQUIRE(values.size() == static_cast<std::size_t>(e.count));
        std::copy(values.begin(), values.end(), arena.data<T>() + e.first);
      }
    });
    batch.set("x", Variable(tensor(*device, {kRows, kFeatures}, dtype, golden.at("x"))));
    batch.set("weight", Variable(tensor(*device, {kRows}, dtype, golden.at("weight"))));
    for (const std::string& name : tasks)
      batch.set("target." + name, Variable(tensor(*device, {kRows}, dtype, golden.at("targets").at(name))));
    loss->take_batch(batch);
  }
  Values results() { return model->forward(batch, {.device = *device, .training = true}); }
  void check_gradients(const nlohmann::json& wanted, const Tensor& memory, double scale) const {
    const Numbers all = doubles(memory);
    CHECK(wanted.size() == params->entries().size());
    for (const auto& e : params->entries()) {
      CAPTURE(e.name);
      Numbers got(all.begin() + e.first, all.begin() + e.first + e.count);
      for (double& g : got) g /= scale;
      CHECK(relative_error(got, wanted.at(e.name).get<Numbers>()) <= bound(dtype));
    }
  }

  DType dtype;
  std::unique_ptr<Device> device;
  Registry registry;
  std::unique_ptr<MultiTask> model;
  std::unique_ptr<MultiTaskLoss> loss;
  std::unique_ptr<FlatParams> params;
  Tensor arena, gradient;
  Values batch;
};

}  // namespace

TEST_CASE("models of several tasks have PyTorch's results, losses and gradients, labels missing") {
  const auto values = golden("multi_task_values.json");
  for (const DType dtype : {DType::f64, DType::f32})
    for (const auto& [kind, wanted] : values.at("models").items()) {
      CAPTURE(kind, name(dtype));
      Bound b(values, kind, wanted.at("start"), {"buys", "group", "spend"}, false, dtype);
      b.params->bind_gradients(b.gradient.buffer(), false);
      const Values results = b.results();
      double sum = 0;
      for (const auto& [task, y] : wanted.at("results").items()) {
        CAPTURE(task);
        CHECK(relative_error(doubles(results.at("y." + task).value()), y.get<Numbers>()) <= bound(dtype));
        sum += wanted.at("losses").at(task).get<double>();
      }
      const LossValue loss = b.loss->of(results, b.batch);
      CHECK(relative_error({doubles(loss.total.value())[0] / kRows}, {sum}) <= bound(dtype));
      const Numbers each = doubles(loss.sample_loss);  // what a run reports is the same sum, sample by sample
      CHECK(relative_error({std::accumulate(each.begin(), each.end(), 0.0) / kRows}, {sum}) <= bound(dtype));
      backward(loss.total);
      b.check_gradients(wanted.at("gradients"), b.gradient, kRows);
    }
}

TEST_CASE("uncertainty weights have PyTorch's loss and gradients, those of the weights too") {
  const auto values = golden("multi_task_values.json");
  for (const DType dtype : {DType::f64, DType::f32})
    for (const auto& [kind, model] : values.at("models").items()) {
      CAPTURE(kind, name(dtype));
      const auto& wanted = model.at("uncertainty");
      auto start = model.at("start");
      for (const auto& [task, s] : wanted.at("log_variance").items()) start["log_variance." + task] = Numbers{s.get<double>()};
      Bound b(values, kind, start, {"buys", "group", "spend"}, true, dtype);
      b.params->bind_gradients(b.gradient.buffer(), false);
      const LossValue loss = b.loss->of(b.results(), b.batch);
      CHECK(relative_error({doubles(loss.total.value())[0] / kRows}, {wanted.at("loss").get<double>()}) <= bound(dtype));
      backward(loss.total);
      b.check_gradients(wanted.at("gradients"), b.gradient, kRows);
    }
}

TEST_CASE("gradients of two tasks that conflict are projected as PyTorch projects them") {
  const auto values = golden("multi_task_values.json");
  for (const DType dtype : {DType::f64, DType::f32}) {
    CAPTURE(name(dtype));
    Bound b(values, "shared_bottom", values.at("pcgrad").at("start"), {"buys", "spend"}, false, dtype);
    const auto comm = make_self_communicator();
    GradientSurgery surgery(
        {.comm = *comm, .params = *b.params, .tasks = 2, .virtual_workers = 1, .seed = 1, .is_shared = [&](std::string_view parameter) {
           return b.model->is_shared(parameter);
         }});
    for (std::size_t t = 0; t < 2; ++t) {
      b.params->bind_gradients(surgery.of_task(t)[0], false);
      backward(b.loss->of_task(t, b.results(), b.batch).total);
      b.params->finish_gradients();
    }
    const Buffer into = b.gradient.buffer();
    surgery.combine(0, std::span(&into, 1));
    CHECK(surgery.gram()[1] / (kRows * kRows) == Approx(values.at("pcgrad").at("product").get<double>()).epsilon(1e-5));
    b.check_gradients(values.at("pcgrad").at("gradients"), b.gradient, kRows);
  }
}
