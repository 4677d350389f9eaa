// Layers over images and sequences against PyTorch, in double and in single precision. The values: layer_values.py and sequence_values.py.
#include "golden_layers.hpp"

#include <chorale/core/nn/sequence_model.hpp>

using namespace chorale;

namespace {

void check_layers(const nlohmann::json& values) {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  for (const auto& c : values.at("cases"))
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(c.at("layers").get<std::string>(), name(dtype));
      const auto row = c.at("row").get<std::vector<std::int64_t>>();
      const auto model = build_layers(c.at("layers").get<std::string>(), Shape(row), registry);
      check_case(c, values.at("rows"), dtype, *device, *model);
    }
}

}  // namespace

TEST_CASE("layers over images and sequences give PyTorch's results and gradients") {
  const nlohmann::json values = golden("layer_values.json");
  REQUIRE(values.at("cases").size() >= 20);
  check_layers(values);
}

TEST_CASE("layers over tokens give PyTorch's results and gradients") {
  const nlohmann::json values = golden("sequence_values.json");
  REQUIRE(values.at("cases").size() >= 10);
  check_layers(values);
}

TEST_CASE("a transformer has the names of PyTorch's encoder, and its results and gradients") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  const nlohmann::json values = golden("sequence_values.json");
  for (const auto& c : values.at("models"))
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(c.at("norm").get<std::string>(), name(dtype));
      const std::int64_t tokens = c.at("tokens");
      const auto model = registry.of<SequenceModelEntry>()
                             .at("transformer", "model")
                             .make({.tokens = tokens,
                                    .context = c.at("row")[0],
                                    .outputs = tokens,
                                    .depth = c.at("depth"),
                                    .heads = c.at("heads"),
                                    .width = c.at("width"),
                                    .feed_forward = c.at("feed_forward"),
                                    .norm = c.at("norm"),
                                    .is_tied = c.at("tied")});
      check_case(c, values.at("rows"), dtype, *device, *model);
    }
}
