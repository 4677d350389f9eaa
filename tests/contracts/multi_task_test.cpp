// Every registered model of several tasks: shapes, finite differences of every parameter, f32 against f64, who shares what.
#include "differences.hpp"

#include <map>

#include <catch2/catch.hpp>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/multi_task.hpp>

using namespace chorale;

namespace {

MultiTaskOptions options() {
  return {.tasks = {{"buys", 1}, {"group", 3}, {"spend", 1}},
          .expert_layers = "linear(5) tanh",
          .tower_layers = "linear(4) tanh",
          .experts = 3,
          .task_experts = 2,
          .levels = 3,
          .learns_weights = true};
}

/// A model in an arena of its own.
struct BoundTasks {
  BoundTasks(const std::string& kind, const MultiTaskOptions& o, const Registry& registry, Device& device, DType dtype)
      : model(registry.of<MultiTaskEntry>().at(kind, "model").make(o, 6, registry)),
        params(*model, device, dtype),
        values(Tensor::zeros(device, {params.elements()}, dtype)),
        gradients(Tensor::zeros(device, {params.elements()}, dtype)) {
    params.bind(values.buffer());
    params.initialise(3, "torch");
    params.bind_gradients(gradients.buffer(), false);
  }
  /// A sum that no task's result leaves as it is.
  Variable total(const Variable& x, Device& device, bool training) {
    const Values y = model->forward({{"x", x}}, {.device = device, .training = training});
    Variable all = sum(square(y.at("y.buys"))) + sum(tanh(y.at("y.group"))) + sum(sigmoid(y.at("y.spend")));
    for (const TaskOutput& task : model->tasks())
      if (training) all = all + sum(exp(y.at("log_variance." + task.name)));
    return all;
  }
  std::unique_ptr<MultiTask> model;
  FlatParams params;
  Tensor values, gradients;
};

}  // namespace

TEST_CASE("a mixture of experts passes finite differences by weights and experts, also where one serves twice") {
  auto device = make_cpu_device();
  Leaf w(random_tensor(*device, {5, 3}, DType::f64, 1)), a(random_tensor(*device, {5, 7}, DType::f64, 2)),
      b(random_tensor(*device, {5, 7}, DType::f64, 3));
  const auto f = [](const Variable& weights, const Variable& x, const Variable& y) { return sum(square(mix(weights, {x, y, x}))); };
  backward(f(w.variable(), a.variable(), b.variable()));
  const auto value = [&] { return *f(w.value, a.value, b.value).value().data<double>(); };
  CHECK(relative_error(doubles(w.node->memory()), slopes(w.value, value)) <= 1e-6);
  CHECK(relative_error(doubles(a.node->memory()), slopes(a.value, value)) <= 1e-6);
  CHECK(relative_error(doubles(b.node->memory()), slopes(b.value, value)) <= 1e-6);
  CHECK_THROWS_WITH(mix(w.variable(), {a.variable(), b.variable()}), Catch::Contains("[5, 3] weights for 2 experts"));
  CHECK_THROWS_WITH(mix(w.variable(), {a.variable(), b.variable(), w.variable()}), Catch::Contains("one shape [B, D]"));
}

TEST_CASE("mixing is the sum written out, in f64 and f32, at odd numbers of columns") {
  auto device = make_cpu_device();
  for (const std::int64_t cols : {1, 3, 16, 17, 65})
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(cols, name(dtype));
      const Tensor w = random_tensor(*device, {9, 2}, dtype, 1), x = random_tensor(*device, {9, cols}, dtype, 2),
                   y = random_tensor(*device, {9, cols}, dtype, 3);
      const std::vector<double> weights = doubles(w), first = doubles(x), second = doubles(y);
      std::vector<double> want;
      for (std::size_t i = 0; i < first.size(); ++i) {
        const std::size_t row = i / static_cast<std::size_t>(cols);
        want.push_back(weights[2 * row] * first[i] + weights[2 * row + 1] * second[i]);
      }
      CHECK(relative_error(doubles(mix(w, {x, y}).value()), want) <= (dtype == DType::f64 ? 1e-15 : 1e-6));
    }
}

TEST_CASE("runs of columns are scaled each by its weight, and pass finite differences by both") {
  auto device = make_cpu_device();
  Leaf x(random_tensor(*device, {5, 6}, DType::f64, 1)), w(random_tensor(*device, {1, 3}, DType::f64, 2));
  const Variable y = scale_runs(x.variable(), w.variable());
  const std::vector<double> from = doubles(x.value), weights = doubles(w.value), got = doubles(y.value());
  for (std::size_t i = 0; i < from.size(); ++i) CHECK(got[i] == from[i] * weights[i % 6 / 2]);
  backward(sum(square(y)));
  const auto value = [&] { return *sum(square(scale_runs(Variable(x.value), Variable(w.value)))).value().data<double>(); };
  CHECK(relative_error(doubles(x.node->memory()), slopes(x.value, value)) <= 1e-6);
  CHECK(relative_error(doubles(w.node->memory()), slopes(w.value, value)) <= 1e-6);
  const Variable four(random_tensor(*device, {1, 4}, DType::f64, 3));
  CHECK_THROWS_WITH(scale_runs(x.variable(), four), Catch::Contains("got [5, 6] and [1, 4]"));
}

TEST_CASE("every model of several tasks passes finite differences by every parameter, and a row's results do not depend on others") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string& kind : registry.of<MultiTaskEntry>().names()) {
    CAPTURE(kind);
    BoundTasks m(kind, options(), registry, *device, DType::f64);
    const Tensor x = random_tensor(*device, {4, 6}, DType::f64, 7);
    backward(m.total(Variable(x), *device, true));
    const std::vector<double> all = doubles(m.gradients);
    for (const FlatParams::Entry& e : m.params.entries()) {
      CAPTURE(e.name);
      const std::vector<double> got(all.begin() + e.first, all.begin() + e.first + e.count);
      const std::vector<double> want =
          slopes(e.parameter->value(), [&] { return doubles(m.total(Variable(x), *device, true).value())[0]; });
      CHECK(relative_error(got, want) <= 1e-6);
    }
    const Values whole = m.model->forward({{"x", Variable(x)}}, {.device = *device}),
                 part = m.model->forward({{"x", Variable(x.slice(1, 2))}}, {.device = *device});
    CHECK(whole.at("y.group").shape() == Shape{4, 3});
    CHECK(whole.find("log_variance.buys") == nullptr);  // only training asks for it
    CHECK(relative_error(doubles(part.at("y.group").value()), doubles(whole.at("y.group").value().slice(1, 2))) <= 1e-12);
  }
}

TEST_CASE("a parameter is shared exactly where several tasks' results have slopes by it") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string& kind : registry.of<MultiTaskEntry>().names()) {
    CAPTURE(kind);
    BoundTasks m(kind, options(), registry, *device, DType::f64);
    std::map<std::string, int> reached;
    const Variable x(random_tensor(*device, {4, 6}, DType::f64, 7));
    for (const TaskOutput& task : m.model->tasks()) {
      m.params.bind_gradients(m.gradients.buffer(), false);
      backward(sum(square(m.model->forward({{"x", x}}, {.device = *device, .training = true}).at("y." + task.name))));
      for (const FlatParams::Entry& e : m.params.entries()) reached[e.name] += e.parameter->leaf().written();
    }
    for (const auto& [name, tasks] : reached) {
      CAPTURE(name, tasks);
      CHECK(m.model->is_shared(name) == (tasks > 1));
    }
  }
}

TEST_CASE("a model of several tasks says what it cannot be made of") {
  Registry registry;
  register_all(registry);
  const auto make = [&](const MultiTaskOptions& o) { return registry.of<MultiTaskEntry>().at("mmoe", "model").make(o, 6, registry); };
  MultiTaskOptions o = options();
  o.tasks.resize(1);
  CHECK_THROWS_WITH(make(o), Catch::Contains("two targets at least"));
  o = options();
  o.tasks[1].name = "buys";
  CHECK_THROWS_WITH(make(o), Catch::Contains("two tasks are named 'buys'"));
  o = options();
  o.expert_layers.clear();
  CHECK_THROWS_WITH(make(o), Catch::Contains("model.expert_layers is empty"));
  CHECK_THROWS_WITH(registry.of<MultiTaskEntry>().at("mmo", "model"), Catch::Contains("mmoe"));
}
