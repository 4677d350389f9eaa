// How a layer is written in a recipe and made from it: linear(128), dropout(0.2), elu(alpha=0.5).
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <chorale/core/base/registry.hpp>
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// The words between a layer's brackets, by position and by name. A layer reads each once; what nobody read is refused.
class LayerArguments {
 public:
  LayerArguments(std::string layer, std::vector<std::string> positional, std::map<std::string, std::string> named)
      : layer_(std::move(layer)), positional_(std::move(positional)), named_(std::move(named)) {}
  /// The argument `name`, also found at `position`; `fallback` when it is not given. Throws UsageError outside [min, max].
  double number(std::size_t position, const std::string& name, double fallback, double min, double max);
  /// As number(), whole, and must be given.
  std::int64_t count(std::size_t position, const std::string& name);
  /// Height and width: "3" for both, or "3x5"; whole numbers of at least `min`. Without a fallback it must be given.
  std::array<std::int64_t, 2> pair(std::size_t position, const std::string& name, std::optional<std::int64_t> fallback, std::int64_t min);
  /// "28x28x1", each at least 1; must be given.
  Shape shape(std::size_t position, const std::string& name);
  bool flag(const std::string& name, bool fallback);
  /// Throws UsageError for an argument that was not asked for.
  void finish() const;

 private:
  const std::string* find(std::size_t position, const std::string& name);
  std::string layer_;
  std::vector<std::string> positional_;
  std::map<std::string, std::string> named_;
  std::vector<std::string> asked_;
  std::size_t used_ = 0;
};

class Sequential;

/// In the Registry under the layer's name: made from arguments, or by `nest` from the layers between its brackets, branch by branch.
/// `sample` is an expression and a row shape that the contract suite tries it with.
struct LayerEntry {
  std::string help;
  std::unique_ptr<Layer> (*make)(LayerArguments& arguments, const Shape& in);
  std::string sample;
  Shape sample_shape;
  std::unique_ptr<Layer> (*nest)(std::vector<std::unique_ptr<Sequential>> branches, const Shape& in) = nullptr;  // then `make` is null
  std::int64_t sample_tokens = 0;  // above 0: its rows are token numbers below it, i32
};

}  // namespace chorale
