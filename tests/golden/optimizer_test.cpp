// Five updates of every registered optimiser, fed PyTorch's gradients: PyTorch's own results, or those of a plain reference. The values:
// optimizer_values.py.
#include "golden_file.hpp"

#include <catch2/catch.hpp>

#include <chorale/tests/contracts/differences.hpp>
#include <chorale/tests/contracts/optimizer_steps.hpp>
#include <chorale/train/trainer.hpp>

using namespace chorale;

namespace {

using Numbers = std::vector<double>;

/// The keys of [optimizer] in `words`, read as a recipe's are.
OptimizerOptions options_of_case(const nlohmann::json& words, const std::string& name, const Registry& registry) {
  Settings settings;
  OptionTable table;
  describe(table, settings, registry);
  table.set("optimizer.name", name);
  for (const auto& [key, value] : words.items()) table.set("optimizer." + key, value.is_string() ? value.get<std::string>() : value.dump());
  return settings.optimizer;
}

template <class T>
void five_updates(const nlohmann::json& values, const Registry& registry, Device& device, double bound) {
  std::vector<ArenaTensor> tensors;
  std::int64_t first = 0;
  for (const auto& [name, tensor] : values.at("tensors").items()) {
    const auto dims = tensor.at("shape").template get<std::vector<std::int64_t>>();
    const Shape shape{std::span(dims)};
    tensors.push_back({name, shape, first, shape.elements()});
    first = (first + shape.elements() + 15) / 16 * 16;
  }
  const auto rule = make_optimizer(options_of_case(values.at("options"), values.at("name"), registry), registry);
  const OptimizerMemory memory(device, *rule, tensors, dtype_of<T>);
  const auto n = static_cast<std::size_t>(tensors.back().first + tensors.back().count);
  std::vector<T> p(n), g(n);
  const auto fill = [](std::vector<T>& to, const ArenaTensor& tensor, const nlohmann::json& numbers) {
    const auto from = numbers.get<Numbers>();
    std::transform(from.begin(), from.end(), to.begin() + tensor.first, [](double v) { return static_cast<T>(v); });
  };
  for (const ArenaTensor& tensor : tensors) fill(p, tensor, values.at("tensors").at(tensor.name).at("start"));
  for (std::size_t step = 0; step < 5; ++step) {
    for (const ArenaTensor& tensor : tensors) fill(g, tensor, values.at("tensors").at(tensor.name).at("gradients").at(step));
    optimizer_step<T>(device, *rule, static_cast<std::int64_t>(step) + 1, 1, p, g);
  }
  for (const ArenaTensor& tensor : tensors) {
    CAPTURE(tensor.name);
    CHECK(relative_error(Numbers(p.begin() + tensor.first, p.begin() + tensor.first + tensor.count),
                         values.at("tensors").at(tensor.name).at("end").get<Numbers>()) <= bound);
  }
}

}  // namespace

TEST_CASE("every optimiser ends where PyTorch's, or a plain reference, ends after five updates of tensors") {
  Registry registry;
  register_all(registry);
  auto device = make_cpu_device();
  std::vector<std::string> left = registry.of<OptimizerEntry>().names();
  const auto cases = golden("optimizer_values.json").at("optimisers");
  for (const auto& values : cases) {
    CAPTURE(values.at("name"), values.at("options").dump());
    std::erase(left, values.at("name").get<std::string>());
    five_updates<double>(values, registry, *device, 1e-12);
    five_updates<float>(values, registry, *device, 1e-5);
  }
  CHECK(left.empty());
}
