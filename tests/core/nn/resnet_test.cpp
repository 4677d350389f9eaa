#include <chorale/core/nn/resnet.hpp>

#include <catch2/catch.hpp>

#include <chorale/core/nn/flat_params.hpp>
#include <chorale/core/nn/sequential.hpp>
#include <chorale/tests/contracts/differences.hpp>

using namespace chorale;

TEST_CASE("a residual network by name has its stages, projections and outputs") {
  Registry registry;
  register_all(registry);
  const std::string text = resnet_layers({.widths = {4, 6}, .blocks = 2}, {9, 8, 3}, 5);
  const auto model = build_layers(text, {9, 8, 3}, registry);
  CHECK(model->output_shape({9, 8, 3}) == Shape{5});
  CHECK(model->layers()[7]->output_shape({9, 8, 4}) == Shape{5, 4, 6});  // the second stage begins with stride 2
  std::vector<std::string> names;
  for (const auto& each : model->parameters()) names.push_back(each.name);
  const auto has = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  CHECK(has("0.weight"));
  CHECK_FALSE(has("0.bias"));
  CHECK(has("3.main.4.running_var"));
  CHECK_FALSE(has("3.shortcut.0.weight"));
  CHECK(has("7.shortcut.0.weight"));
  CHECK_FALSE(has("9.shortcut.0.weight"));
  CHECK(has("13.bias"));
  CHECK(model->statistics().size() == 1 + 4 * 2 + 1);
}

TEST_CASE("a residual network by name is refused for rows that are no images, and for widths that are none") {
  CHECK_THROWS_WITH(resnet_layers({}, {784}, 10), Catch::Contains("reads images, and rows here are [784]; give images [H, W, C]"));
  CHECK_THROWS_WITH(parse_widths({"16", "x"}), Catch::Contains("'x' is refused: expected channels"));
  CHECK_THROWS_WITH(parse_widths({"0"}), Catch::Contains("'0' is refused"));
  CHECK_THROWS_WITH(parse_widths({}), Catch::Contains("is empty"));
}

TEST_CASE("a relu and a sum that batch normalisation takes with it give the bits that they give behind it") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  const auto bits = [&](const std::string& layers, bool training) {
    const auto model = build_layers(layers, {5, 6, 3}, registry);
    FlatParams params(*model, *device, DType::f32);
    const Tensor arena = Tensor::zeros(*device, {params.elements()}, DType::f32),
                 gradients = Tensor::zeros(*device, arena.shape(), DType::f32);
    params.bind(arena.buffer());
    for (const auto& e : params.entries())
      for (std::int64_t i = 0; i < e.count; ++i) arena.data<float>()[e.first + i] = 0.3f + 0.1f * static_cast<float>(i % 5);
    params.bind_gradients(gradients.buffer(), false);
    Leaf x(random_tensor(*device, {7, 5, 6, 3}, DType::f32, 1));
    const Variable y = model->forward(x.variable(), Pass{.device = *device, .training = training});
    std::vector<double> out = doubles(y.value());
    if (!training) return out;
    backward(y, random_tensor(*device, y.shape(), DType::f32, 2));
    for (const Tensor& t : {x.node->memory(), gradients})
      for (const double v : doubles(t)) out.push_back(v);
    return out;
  };
  for (const bool training : {true, false}) {
    CHECK(bits("batch_norm relu", training) == bits("batch_norm identity relu", training));
    CHECK(bits("residual(batch_norm) relu", training) == bits("residual(batch_norm identity) identity relu", training));
    CHECK(bits("residual(batch_norm | conv2d(3, 1)) relu max_pool2d(2)", training) ==
          bits("residual(batch_norm identity | conv2d(3, 1)) max_pool2d(2) identity relu", training));
  }
}
