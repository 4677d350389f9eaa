// A tensor with its place in the graph. Cheap to copy; without a node it is a constant.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <chorale/core/autograd/node.hpp>

namespace chorale {

class Observer;

class Variable {
 public:
  Variable() = default;
  Variable(Tensor value) : value_(std::move(value)) {}  // NOLINT: a constant reads best unmarked
  Variable(Tensor value, std::shared_ptr<Node> node) : value_(std::move(value)), node_(std::move(node)) {}

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  DType dtype() const { return value_.dtype(); }
  const std::shared_ptr<Node>& node() const { return node_; }
  bool needs_gradient() const { return node_ != nullptr; }

 private:
  Tensor value_;
  std::shared_ptr<Node> node_;
};

/// Runs the graph of `root` backwards, starting from d(root) = `seed` (all ones when undefined). Each node once, deepest first, so the
/// order is a function of the model. A parameter's ready() comes as soon as its last use has been added.
void backward(const Variable& root, Tensor seed = {}, Observer* observer = nullptr);

/// The result of an operation: `value` computed from `inputs`, `f(Tensor dy)` hands the gradient on. A constant when no input needs a
/// gradient.
template <class F>
Variable make_result(Tensor value, Node::Inputs inputs, F f) {
  struct Operation final : Node {
    Operation(Inputs in, F function) : Node(std::move(in)), f_(std::move(function)) {}
    /// Once: what was kept for it goes with it, not with the graph, which lives until all of backward is over.
    void backward(Tensor dy) override {
      std::optional<F> f = std::exchange(f_, std::nullopt);
      (*f)(std::move(dy));
    }
    std::optional<F> f_;
  };
  bool needed = false;
  for (const auto& input : inputs) needed = needed || input != nullptr;
  if (!needed) return Variable(std::move(value));
  return Variable(std::move(value), std::make_shared<Operation>(std::move(inputs), std::move(f)));
}

/// Tensors by name: a batch, a module's results, a loss's inputs and a recipe's columns use the same names.
class Values {
 public:
  Values() = default;
  Values(std::initializer_list<std::pair<std::string, Variable>> items) : items_(items) {}
  void set(const std::string& name, Variable value);
  /// Throws UsageError that lists the names there are.
  const Variable& at(const std::string& name) const;
  const Variable* find(const std::string& name) const;
  const std::vector<std::pair<std::string, Variable>>& items() const { return items_; }

 private:
  std::vector<std::pair<std::string, Variable>> items_;
};

}  // namespace chorale
