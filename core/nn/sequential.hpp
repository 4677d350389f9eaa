// Layers one after the other, from code or from a recipe's words.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/base/registry.hpp>
#include <chorale/core/nn/module.hpp>

namespace chorale {

/// Children are named "0", "1", ... as torch.nn.Sequential names them.
class Sequential final : public Layer {
 public:
  void add(std::unique_ptr<Layer> layer);
  /// Before layer `position`, under a name of its own; the others keep theirs. After the last add().
  void insert(std::size_t position, const std::string& name, std::unique_ptr<Layer> layer);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  /// Layers [first, last) only: what lies before a head, or the head alone.
  Variable forward_through(const Variable& x, std::size_t first, std::size_t last, const Pass& pass);
  bool takes_epilogue() const override { return !layers_.empty() && layers_.back()->takes_epilogue(); }
  Variable forward_with_epilogue(const Variable& x, const Epilogue& epilogue, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override { return "sequential"; }
  const std::vector<std::unique_ptr<Layer>>& layers() const { return layers_; }

 private:
  /// The layer whose turn it is at place i of [first, last): i, but for a pair of which the second may go first.
  std::size_t at_turn(std::size_t i, std::size_t first, std::size_t last) const;
  /// Layer i, or its forward_with_epilogue() where there is one.
  Variable forward_layer(std::size_t i, const Variable& x, const Epilogue* epilogue, const Pass& pass);
  std::vector<std::unique_ptr<Layer>> layers_;
};

/// "linear(128) relu dropout(0.2) linear(1)" for rows of shape `in`; layers that hold others have them in brackets, branches parted by |:
/// "residual(conv2d(8, 3, padding=1) batch_norm | conv2d(8, 1))". Throws UsageError that points at the word and names the nearest layer.
std::unique_ptr<Sequential> build_layers(std::string_view expression, const Shape& in, const Registry& registry);

}  // namespace chorale
