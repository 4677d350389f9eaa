// Every registered layer: finite differences, f32 against f64 over odd shapes, train and evaluation mode.
#include "differences.hpp"

#include <catch2/catch.hpp>

#include <optional>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/layer_entry.hpp>
#include <chorale/core/nn/sequential.hpp>

using namespace chorale;

namespace {

struct Sample {
  std::string expression;
  Shape row;
  std::int64_t tokens = 0;  // above 0: rows are token numbers below it
};

/// Each registered layer's own sample; for those that take other paths by size or argument, more.
std::vector<Sample> samples(const Registry& registry) {
  std::vector<Sample> out = {
      {"linear(1)", {7}},
      {"linear(1, bias=false)", {33}},
      {"linear(3, bias=false)", {1}},
      {"linear(101)", {65}},
      {"linear(4)", {3, 5}},
      {"softmax", {1}},
      {"softmax", {3, 4}},
      {"dropout(0)", {5}},
      {"dropout(0.9)", {3, 3}},
      {"flatten linear(2)", {3, 2}},
      {"leaky_relu", {1}},
      {"elu", {17}},
      {"flatten linear(2)", {2, 3, 4}},
      {"conv2d(3, 1)", {1, 1, 1}},
      {"conv2d(17, 3, stride=2, padding=1, bias=false)", {7, 6, 3}},
      {"conv2d(6, 3x2, stride=2x1, padding=1x0, dilation=2x1, groups=3)", {8, 5, 6}},
      {"conv2d(4, 3, padding=1, groups=4) relu conv2d(3, 2)", {4, 4, 4}},
      {"conv1d(5, 4, stride=3, padding=2, dilation=2, bias=false)", {13, 3}},
      {"conv1d(6, 3, groups=2)", {5, 4}},
      {"max_pool2d(3, stride=2, padding=1)", {6, 7, 5}},
      {"max_pool2d(2x3, stride=1x2)", {4, 5, 17}},
      {"relu max_pool2d(2)", {4, 4, 3}},
      {"avg_pool2d(3, stride=2, padding=1)", {6, 7, 5}},
      {"avg_pool2d(3x2, padding=1x0, counts_padding=false)", {5, 4, 2}},
      {"layer_norm(affine=false)", {4, 3}},
      {"layer_norm(0.1, bias=false) linear(3)", {17}},
      {"rms_norm(affine=false)", {33}},
      {"group_norm(1)", {5, 4}},
      {"group_norm(8, affine=false)", {3, 2, 8}},
      {"batch_norm(affine=false)", {5}},
      {"batch_norm(0.1, 0.5) linear(3)", {2, 17}},
      {"batch_norm tanh", {1, 1, 70}},
      {"conv2d(3, 3, padding=1, bias=false) batch_norm max_pool2d(2)", {4, 4, 2}},
      {"residual(linear(4) tanh batch_norm) linear(2)", {4}},
      {"residual(conv2d(4, 3, stride=2, padding=1) tanh batch_norm | conv2d(4, 1, stride=2, bias=false) batch_norm)", {4, 5, 3}},
      {"residual(residual(batch_norm(affine=false)) linear(3, bias=false) batch_norm | linear(3)) linear(2)", {3}},
      {"residual(identity)", {3, 2}},
      {"concat(linear(3) | residual(linear(5) tanh) | identity) linear(2)", {5}},
      {"concat(identity) concat(tanh | concat(identity | tanh))", {2, 3}},
      {"adaptive_avg_pool2d(1)", {7, 5, 4}},
      {"adaptive_avg_pool2d(3x4)", {2, 3, 2}},
      {"embedding(6, 4) positions transformer_block(1, 4) linear(3)", {5}, 6},
      {"embedding(3, 1)", {1}, 3},
      {"lstm(1)", {1, 1}},
      {"lstm(17) last", {3, 5}},
      {"gru(9)", {4, 3}},
      {"gru(40) last linear(2)", {2, 6}},
      {"attention(1, causal=true)", {1, 4}},
      {"attention(3)", {65, 9}},
      {"attention(2, causal=true)", {130, 4}},
      {"attention(1)", {3, 35}},
      {"transformer_block(2, 5, pre_norm=true, causal=true, gelu=true)", {4, 4}},
      {"transformer_block(1, 3, dropout=0.4)", {3, 5}}};
  for (const std::string& name : registry.of<LayerEntry>().names()) {
    const LayerEntry& entry = registry.of<LayerEntry>().at(name, "layer");
    out.push_back({entry.sample, entry.sample_shape, entry.sample_tokens});
  }
  return out;
}

/// A layer in an arena of its own.
struct Bound {
  Bound(const Sample& sample, const Registry& registry, Device& device, DType dtype)
      : model(build_layers(sample.expression, sample.row, registry)),
        params(*model, device, dtype),
        values(Tensor::zeros(device, {params.elements()}, dtype)),
        gradients(Tensor::zeros(device, {params.elements()}, dtype)) {
    params.bind(values.buffer());
    params.initialise(3, "torch");
    params.bind_gradients(gradients.buffer(), false);
  }
  std::unique_ptr<Sequential> model;
  FlatParams params;
  Tensor values, gradients;
};

Shape batched(std::int64_t rows, const Shape& row) {
  std::vector<std::int64_t> dims{rows};
  for (const std::int64_t d : row.dims()) dims.push_back(d);
  return Shape(dims);
}

/// What a sample's rows are made of: numbers with a gradient, or tokens.
struct Input {
  Input(const Sample& sample, std::int64_t rows, Device& device, DType dtype) {
    const Shape shape = batched(rows, sample.row);
    if (sample.tokens == 0) {
      numbers.emplace(random_tensor(device, shape, dtype, 1));
      return;
    }
    tokens = Tensor::empty(device, shape, DType::i32);
    RandomStream random(1);
    for (std::int64_t i = 0; i < tokens.elements(); ++i)
      tokens.data<std::int32_t>()[i] = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(sample.tokens)));
  }
  Variable variable() const { return numbers ? numbers->variable() : Variable(tokens); }
  Variable constant() const { return Variable(numbers ? numbers->value : tokens); }
  std::optional<Leaf> numbers;
  Tensor tokens;
};

}  // namespace

TEST_CASE("every layer passes finite differences in double precision") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  REQUIRE(registry.of<LayerEntry>().names().size() >= 10);
  for (const Sample& sample : samples(registry)) {
    CAPTURE(sample.expression);
    Bound b(sample, registry, *device, DType::f64);
    const Pass pass{.device = *device, .training = true, .random_key = 9, .first_position = 5};
    const Input x(sample, 4, *device, DType::f64);
    const Tensor probe = random_tensor(*device, b.model->forward(x.constant(), pass).shape(), DType::f64, 2);
    const auto value = [&](const Variable& in) { return sum(b.model->forward(in, pass) * Variable(probe)); };
    backward(value(x.variable()));
    b.params.finish_gradients();
    const auto f = [&] { return *value(x.constant()).value().data<double>(); };
    if (x.numbers) CHECK(relative_error(doubles(x.numbers->node->memory()), slopes(x.numbers->value, f)) <= 1e-6);
    if (b.params.elements() > 0) CHECK(relative_error(doubles(b.gradients), slopes(b.values, f)) <= 1e-6);
  }
}

TEST_CASE("every layer's f32 path agrees with its f64 path over odd shapes") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const Sample& sample : samples(registry)) {
    for (const std::int64_t rows : {1, 3, 17, 65, 129, 257}) {
      CAPTURE(sample.expression, rows);
      Bound narrow(sample, registry, *device, DType::f32), wide(sample, registry, *device, DType::f64);
      for (std::size_t p = 0; p < wide.params.entries().size(); ++p) {  // other padding: copied by parameter
        const auto &a = narrow.params.entries()[p], &c = wide.params.entries()[p];
        for (std::int64_t k = 0; k < a.count; ++k) wide.values.data<double>()[c.first + k] = narrow.values.data<float>()[a.first + k];
      }
      const Pass pass{.device = *device, .training = true, .random_key = 9, .first_position = 0};
      const Input x(sample, rows, *device, DType::f32), y(sample, rows, *device, DType::f64);
      const Variable a = narrow.model->forward(x.variable(), pass), c = wide.model->forward(y.variable(), pass);
      CHECK(relative_error(doubles(a.value()), doubles(c.value())) <= 1e-5);
      backward(a, random_tensor(*device, a.shape(), DType::f32, 4));
      backward(c, random_tensor(*device, c.shape(), DType::f64, 4));
      if (x.numbers) CHECK(relative_error(doubles(x.numbers->node->memory()), doubles(y.numbers->node->memory())) <= 1e-5);
      for (std::size_t p = 0; p < wide.params.entries().size(); ++p) {
        if (wide.params.entries()[p].parameter->segment() == Segment::buffer) continue;
        CAPTURE(wide.params.entries()[p].name);
        CHECK(relative_error(doubles(narrow.params.entries()[p].parameter->leaf().memory()),
                             doubles(wide.params.entries()[p].parameter->leaf().memory())) <= 1e-5);
      }
    }
  }
}

TEST_CASE("dropout gives a sample the same mask in any share of the batch and none in evaluation") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  auto layer = build_layers("dropout(0.4)", {9}, registry);
  layer->set_path();
  const Tensor x = random_tensor(*device, {33, 9}, DType::f32, 1);
  Pass pass{.device = *device, .training = true, .random_key = 4, .first_position = 0};
  const auto whole = doubles(layer->forward(Variable(x), pass).value());
  for (const std::int64_t first : {1, 7, 32}) {
    pass.first_position = first;
    const auto part = doubles(layer->forward(Variable(x.slice(first, 33 - first)), pass).value());
    CHECK(std::vector<double>(whole.begin() + first * 9, whole.end()) == part);
  }
  pass.training = false;
  CHECK(doubles(layer->forward(Variable(x), pass).value()) == doubles(x));
}

TEST_CASE("a layer expression that cannot be read says where and what is near") {
  Registry registry;
  register_all(registry);
  const auto words = [&](const char* text) -> std::string {
    try {
      build_layers(text, {4}, registry);
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::usage);
      return e.what();
    }
    return "";
  };
  CHECK(words("linaer(3)").find("did you mean 'linear'") != std::string::npos);
  CHECK(words("linear(0)").find("linear needs out") != std::string::npos);
  CHECK(words("linear(3, bais=false)").find("did you mean 'bias'") != std::string::npos);
  CHECK(words("dropout(1.5)").find("refused") != std::string::npos);
  CHECK(words("conv2d(3, 5)").find("expected images [H, W, C]") != std::string::npos);
  CHECK(words("group_norm(3)").find("must divide") != std::string::npos);
  CHECK(words("reshape(2x2x1) conv2d(3)").find("needs kernel") != std::string::npos);
  CHECK(words("reshape(2x2x1) conv2d(3, 2x2x2)").find("refused") != std::string::npos);
  CHECK(words("reshape(3x3)").find("have 4 numbers, [3, 3] has 9") != std::string::npos);
  CHECK(words("reshape(2x2x1) conv2d(3, 1, groups=2)").find("must divide both") != std::string::npos);
  CHECK(words("reshape(2x2x1) conv2d(3, 3)").find("does not fit") != std::string::npos);
  CHECK(words("linear(3").find("expected , or )") != std::string::npos);
  CHECK(words("").find("empty") != std::string::npos);
  CHECK(words("residual").find("holds layers: expected ( at character 9") != std::string::npos);
  CHECK(words("linear(3) residual()").find("no layers in a branch of residual at character 20") != std::string::npos);
  CHECK(words("residual(linear(4) relu").find("not closed") != std::string::npos);
  CHECK(words("residual(linear(4) relux)").find("did you mean 'relu'") != std::string::npos);
  CHECK(words("relu residual(linear(3))").find("cannot add rows of [3] and of [4]; keep channels") != std::string::npos);
  CHECK(words("relu residual(linear(3))").find("at character 6, 'residual(linear(3))'") != std::string::npos);
  CHECK(words("residual(linear(3) | linear(2))").find("give both ways the same") != std::string::npos);
  CHECK(words("residual(relu | relu | relu)").find("got 3 branches") != std::string::npos);
  CHECK(words("concat(linear(3) |)").find("write identity") != std::string::npos);
  CHECK(words("concat(relu | reshape(2x2))").find("branch 2 gives rows of [2, 2]") != std::string::npos);
  CHECK(words("linear(3) | relu").find("expected a word at character 11") != std::string::npos);
  CHECK(words("linear(3))").find("expected a word") != std::string::npos);
  std::string deep = "relu";
  for (int i = 0; i < 20; ++i) deep = "residual(" + deep + ")";
  CHECK(words(deep.c_str()).find("more than 16 layers inside each other") != std::string::npos);
}
