// Models of folds: who trains which of them, and whose vector a row gets.
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/fold_exporters.hpp>

using namespace chorale;

namespace {

constexpr FoldOptions kOptions = {.kinds = 2, .folds = 2, .width = 3};

struct Folded {
  Folded()
      : device(make_cpu_device()),
        model(
            [] {
              Registry registry;
              register_all(registry);
              return build_layers("linear(5) relu linear(1)", {4}, registry);
            },
            {4}, kOptions),
        params(model, *device, DType::f64) {
    memory = Tensor::zeros(*device, {params.elements()}, DType::f64);
    gradients = Tensor::zeros(*device, {params.trainable_elements()}, DType::f64);
    params.bind(memory.buffer());
    params.initialise(7, "torch");
    params.bind_gradients(gradients.buffer(), false);
  }
  Tensor rows_of(std::initializer_list<double> values, std::int64_t columns) {
    Tensor t = Tensor::empty(*device, {static_cast<std::int64_t>(values.size()) / columns, columns}, DType::f64);
    std::copy(values.begin(), values.end(), t.data<double>());
    return t;
  }
  std::vector<double> part(const std::string& prefix, const Tensor& of) const {
    std::vector<double> out;
    for (const auto& e : params.entries())
      if (e.name.starts_with(prefix)) out.insert(out.end(), of.data<double>() + e.first, of.data<double>() + e.first + e.count);
    return out;
  }
  Pass pass(bool training) const { return {.device = *device, .training = training, .random_key = 5, .first_position = 0}; }
  std::unique_ptr<Device> device;
  FoldExporters model;
  FlatParams params;
  Tensor memory, gradients;
};

}  // namespace

TEST_CASE("a row trains the models of other folds than its own, and gets the vector of its own fold's") {
  Folded f;
  const std::vector<double> drawn = f.part("0.0.", f.memory);
  CHECK(drawn.size() == f.part("1.1.", f.memory).size());
  // Columns: kinds. The first row is of folds 0 and 1, the second has no entity of the second kind.
  const Variable x(f.rows_of({0.5, -1, 2, 0.1, 1, 0.3, -0.2, 0.7}, 4)), folds(f.rows_of({0, 1, 1, -1}, 2));
  const Values out = f.model.forward({{"x", x}, {"folds", folds}}, f.pass(true));
  const auto result = [&](std::int64_t kind, std::int64_t fold, std::int64_t row) {
    return out.at(FoldExporters::result("fold_y", kind, fold)).value().data<double>()[row];
  };
  CHECK(result(0, 0, 0) == 0);
  CHECK(result(0, 1, 1) == 0);
  CHECK(result(1, 1, 0) == 0);
  for (const double seen : {result(0, 0, 1), result(0, 1, 0), result(1, 0, 0), result(1, 0, 1), result(1, 1, 1)}) CHECK(seen != 0);
  CHECK(result(0, 1, 0) == result(1, 0, 0));  // all start alike
  const Tensor vectors = out.at("fold_entity").value(), alone = f.model.entity(x, folds.value(), f.pass(false));
  CHECK(std::equal(vectors.data<double>(), vectors.data<double>() + vectors.elements(), alone.data<double>()));
  const double* second = vectors.data<double>() + vectors.row_elements();
  CHECK(std::count(second, second + 3, 0.0) == 0);
  CHECK(std::count(second + 3, second + 6, 0.0) == 3);

  backward(sum(square(out.at(FoldExporters::result("fold_y", 1, 1)))));
  f.params.finish_gradients();
  const std::vector<double> trained = f.part("1.1.", f.gradients), other = f.part("0.0.", f.gradients);
  CHECK(std::any_of(trained.begin(), trained.end(), [](double g) { return g != 0; }));
  CHECK(std::all_of(other.begin(), other.end(), [](double g) { return g == 0; }));
}

TEST_CASE("a row's label says nothing to the model of its fold") {
  std::vector<double> gradients[2];
  for (const double label : {0.0, 1.0}) {
    Folded f;
    const Variable x(f.rows_of({0.5, -1, 2, 0.1, 1, 0.3, -0.2, 0.7}, 4)), folds(f.rows_of({0, 1, 1, 0}, 2));
    const Values out = f.model.forward({{"x", x}, {"folds", folds}}, f.pass(true));
    const Variable y = out.at(FoldExporters::result("fold_entity_y", 0, 0)), target(f.rows_of({label, 0.3}, 1));
    backward(sum(square(y - target)));
    f.params.finish_gradients();
    gradients[label > 0] = f.part("0.0.", f.gradients);
  }
  CHECK(std::any_of(gradients[0].begin(), gradients[0].end(), [](double g) { return g != 0; }));
  CHECK(gradients[0] == gradients[1]);
}

TEST_CASE("rows that fall into no folds train no exporter") {
  Folded f;
  CHECK(f.model.forward({{"x", Variable(f.rows_of({1, 2, 3, 4}, 4))}}, f.pass(true)).items().empty());
}
