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

Tensor targets(Device& device, Loss::Task task, std::int64_t rows, std::int64_t columns, DType dtype) {
  const bool one_a_row = task == Loss::Task::classes || columns == 1;
  Tensor t = random_tensor(device, one_a_row ? Shape{rows} : Shape{rows, columns}, dtype, 8);
  RandomStream random(11);
  with_float_type(dtype, [&]<class T>() {
    if (task == Loss::Task::value) return;
    for (std::int64_t i = 0; i < t.elements(); ++i)
      t.data<T>()[i] = static_cast<T>(random.below(task == Loss::Task::binary ? 2 : static_cast<std::uint64_t>(columns)));
  });
  return t;
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
    for (const std::int64_t columns : columns_of(entry.task, 5)) {
      CAPTURE(name, columns);
      LossOptions options;
      if (entry.task == Loss::Task::binary) options.class_weights = {0.7, 2.5};
      if (entry.task == Loss::Task::classes)
        options.class_weights.assign({0.5, 1, 2, 3, 0.1}), options.class_weights.resize(static_cast<std::size_t>(columns));
      options.huber_delta = 0.8;
      auto loss = entry.make(options);
      Leaf z(random_tensor(*device, {13, columns}, DType::f64, 5));
      const Tensor target = targets(*device, entry.task, 13, columns, DType::f64),
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
        const LossValue narrow = loss->forward(a.variable(), targets(*device, entry.task, rows, columns, DType::f32), {});
        const LossValue wide = loss->forward(b.variable(), targets(*device, entry.task, rows, columns, DType::f64), {});
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
