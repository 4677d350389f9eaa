// A node of the graph that a forward pass leaves behind: knows its inputs and how a gradient flows back to them.
// Source of the scheme: Griewank & Walther, "Evaluating Derivatives", 2nd ed., section 3.2 (reverse mode).
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <chorale/core/tensor/tensor.hpp>

namespace chorale {

/// Where a gradient is to be written, and whether it is added to what is there.
struct GradientTarget {
  Tensor memory;
  bool accumulate = false;
};

class Node {
 public:
  using Inputs = std::vector<std::shared_ptr<Node>>;  // null: an input without gradient
  explicit Node(Inputs inputs);
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Hands the gradient of this value on to the inputs. May use dy's memory.
  virtual void backward(Tensor dy) = 0;
  /// Memory of this value's gradient, of the shape and type of `like`; operations that can add write straight into it.
  virtual GradientTarget target(const Tensor& like);
  /// Takes a finished gradient: keeps it when it is the first, adds it otherwise.
  virtual void adopt(Tensor gradient);
  /// All uses of this value have been added. Only parameters listen.
  virtual void ready() {}
  /// The last operation of this layer, where backward enters it. The innermost layer that says so stays; the name outlives the graph.
  void end_of(const std::string& layer) {
    if (!layer_) layer_ = &layer;
  }

 private:
  friend void backward(const class Variable&, Tensor, class Observer*);
  Inputs inputs_;
  Tensor gradient_;
  int depth_ = 0;    // longest way to a leaf: nodes of greater depth go first
  int pending_ = 0;  // uses whose gradients have not come yet
  bool visited_ = false;
  const std::string* layer_ = nullptr;
};

/// A parameter's leaf: its gradient lies in memory that the arena gives.
class LeafNode final : public Node {
 public:
  LeafNode() : Node({}) {}
  /// The next gradient is written to `memory`, replacing (accumulate false) or adding to what is there.
  void bind(Tensor memory, bool accumulate) {
    memory_ = std::move(memory);
    written_ = accumulate;
  }
  bool written() const { return written_; }
  const Tensor& memory() const { return memory_; }
  void on_ready(std::function<void()> hook) { hook_ = std::move(hook); }

  void backward(Tensor) override {}
  GradientTarget target(const Tensor&) override { return {memory_, std::exchange(written_, true)}; }
  void adopt(Tensor gradient) override;
  void ready() override {
    if (hook_) hook_();
  }

 private:
  Tensor memory_;
  bool written_ = false;
  std::function<void()> hook_;
};

}  // namespace chorale
