// Every registered loss: finite differences with weights, f32 against f64, sums that do not depend on how a batch is cut.
#include "differences.hpp"

#include <catch2/catch.hpp>

#include <chorale/core/loss/loss.hpp>

using namespace chorale;

namespace {

/// Numbers of outputs that a loss of this task is tried with: `classes`, or one and several.
std::vector<std::int64_t> columns_of(Loss::Task task, std::int64_t classes) {
  return task == Loss::Task::classes ? std::vector{classes, std::int64_t{2}} : std::vector<std::int64_t>{1, 3};
}

Tensor targets(Device& device, const LossEntry& entry, std::int64_t rows, std::int64_t columns, DType dtype) {
  const Loss::Task task = entry.task;
  const bool one_a_row = task == Loss::Task::classes || columns == 1;
  Tensor t = random_tensor(device, one_a_row ? Shape{rows} : Shape{rows, columns}, dtype, 8);
  RandomStream random(11);
  with_float_type(dtype, [&]<class T>() {
    for (std::int64_t i = 0; i < t.elements(); ++i)
      t.data<T>()[i] = std::max(t.data<T>()[i], static_cast<T>(std::max(entry.least_target, -1e30)));  // some are the least
    if (task == Loss::Task::value) return;
    for (std::int64_t i = 0; i < t.elements(); ++i)
      t.data<T>()[i] = static_cast<T>(random.below(task == Loss::Task::binary ? 2 : static_cast<std::uint64_t>(columns)));
  });
  return t;
}

std::vector<std::pair<std::int64_t, double>> with_smoothing(const std::vector<std::int64_t>& columns) {
  std::vector<std::pair<std::int64_t, double>> out;
  for (const std::int64_t n : columns) out.insert(out.end(), {{n, 0.0}, {n, 0.2}});
  return out;
}

Tensor positive(Tensor t) {
  with_float_type(t.dtype(), [&]<class T>() {
    for (std::int64_t i = 0; i < t.elements(); ++i) t.data<T>()[i] = std::fabs(t.data<T>()[i]);
  });
  return t;
}

}  // namespace

TEST_CASE("every loss passes finite differences with sample and class weights") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string& name : registry.of<LossEntry>().names()) {
    const LossEntry& entry = registry.of<LossEntry>().at(name, "loss");
    for (const auto& [columns, smoothing] : with_smoothing(columns_of(entry.task, 5))) {
      CAPTURE(name, columns, smoothing);
      LossOptions options{
          .class_weights = {}, .huber_delta = 0.8, .label_smoothing = smoothing, .focal_gamma = 1.7, .quantile = 0.3, .tweedie_power = 1.3};
      if (entry.task == Loss::Task::binary) options.class_weights = {0.7, 2.5};
      if (entry.task == Loss::Task::classes)
        options.class_weights.assign({0.5, 1, 2, 3, 0.1}), options.class_weights.resize(static_cast<std::size_t>(columns));
      auto loss = entry.make(options);
      Leaf z(random_tensor(*device, {13, columns}, DType::f64, 5));
      const Tensor target = targets(*device, entry, 13, columns, DType::f64),
                   weight = positive(random_tensor(*device, {13}, DType::f64, 6));
      const LossValue value = loss->forward(z.variable(), target, weight);
      backward(value.total);
      const auto f = [&] { return *loss->forward(Variable(z.value), target, weight).total.value().data<double>(); };
      CHECK(relative_error(doubles(z.node->memory()), slopes(z.value, f)) <= 1e-6);
      double cut = 0;
      for (const auto& [first, count] : std::vector<std::pair<int, int>>{{0, 4}, {4, 1}, {5, 8}})
        cut += *loss->forward(Variable(z.value.slice(first, count)), target.slice(first, count), weight.slice(first, count))
                    .total.value()
                    .data<double>();
      CHECK(cut == Approx(f()).epsilon(1e-12));
    }
  }
}

TEST_CASE("every loss's f32 path agrees with its f64 path over odd sizes") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const std::string& name : registry.of<LossEntry>().names()) {
    const LossEntry& entry = registry.of<LossEntry>().at(name, "loss");
    auto loss = entry.make({});
    for (const std::int64_t rows : {1, 3, 17, 63, 129, 1000}) {
      for (const std::int64_t columns : columns_of(entry.task, 7)) {
        CAPTURE(name, rows, columns);
        Leaf a(random_tensor(*device, {rows, columns}, DType::f32, 5, 4)), b(random_tensor(*device, {rows, columns}, DType::f64, 5, 4));
        const LossValue narrow = loss->forward(a.variable(), targets(*device, entry, rows, columns, DType::f32), {});
        const LossValue wide = loss->forward(b.variable(), targets(*device, entry, rows, columns, DType::f64), {});
        CHECK(relative_error(doubles(narrow.sample_loss), doubles(wide.sample_loss)) <= 1e-5);
        backward(narrow.total), backward(wide.total);
        CHECK(relative_error(doubles(a.node->memory()), doubles(b.node->memory())) <= 1e-5);
      }
    }
  }
}

TEST_CASE("a class that the model does not know is refused with the sample") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  auto loss = registry.of<LossEntry>().at("cross_entropy", "loss").make({});
  const float ids[] = {0, 1, 3};
  CHECK_THROWS_WITH(loss->forward(Variable(random_tensor(*device, {3, 3}, DType::f32, 1)), Tensor::from(*device, {3}, ids), {}),
                    Catch::Contains("sample 2 has class 3"));
}

TEST_CASE("counts below zero are refused with the sample, and what was predicted is a mean") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  const float counts[] = {0, 3, -1}, zero[] = {0, 1, 2};
  for (const char* name : {"poisson", "tweedie"}) {
    auto loss = registry.of<LossEntry>().at(name, "loss").make({});
    const Tensor z = Tensor::from(*device, {3, 1}, zero);
    CHECK_THROWS_WITH(loss->forward(Variable(z), Tensor::from(*device, {3}, counts), {}), Catch::Contains("sample 2 has the target -1"));
    CHECK(doubles(loss->predict(z))[2] == Approx(std::exp(2.0)));
  }
}

TEST_CASE("a focal loss with gamma 0 is cross entropy") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const auto& [focal, plain, columns] : {std::tuple{"focal", "cross_entropy", 5}, {"binary_focal", "binary_cross_entropy", 1}}) {
    CAPTURE(focal);
    const LossEntry& entry = registry.of<LossEntry>().at(plain, "loss");
    const Tensor target = targets(*device, entry, 40, columns, DType::f64);
    Leaf a(random_tensor(*device, {40, columns}, DType::f64, 5, 4)), b(random_tensor(*device, {40, columns}, DType::f64, 5, 4));
    const LossValue of_focal =
        registry.of<LossEntry>().at(focal, "loss").make({.class_weights = {}, .focal_gamma = 0})->forward(a.variable(), target, {});
    const LossValue of_plain = entry.make({})->forward(b.variable(), target, {});
    backward(of_focal.total), backward(of_plain.total);
    CHECK(relative_error(doubles(of_focal.sample_loss), doubles(of_plain.sample_loss)) <= 1e-14);
    CHECK(relative_error(doubles(a.node->memory()), doubles(b.node->memory())) <= 1e-14);
  }
}
