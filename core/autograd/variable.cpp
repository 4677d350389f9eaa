#include <chorale/core/autograd/variable.hpp>

#include <algorithm>

#include <chorale/core/base/observer.hpp>

namespace chorale {

Node::Node(Inputs inputs) : inputs_(std::move(inputs)) {
  for (const auto& input : inputs_)
    if (input) depth_ = std::max(depth_, input->depth_ + 1);
}

GradientTarget Node::target(const Tensor& like) {
  if (gradient_.defined()) return {gradient_, true};
  gradient_ = Tensor::empty(like.device(), like.shape(), like.dtype());
  return {gradient_, false};
}

namespace {
void add_into(const Tensor& sum, const Tensor& part) {
  with_float_type(sum.dtype(),
                  [&]<class T>() { sum.device().typed<T>().add(sum.data<T>(), part.data<T>(), sum.data<T>(), sum.elements()); });
}
}  // namespace

void Node::adopt(Tensor gradient) {
  if (gradient_.defined())
    add_into(gradient_, gradient);
  else
    gradient_ = std::move(gradient);
}

void LeafNode::adopt(Tensor gradient) {
  if (std::exchange(written_, true))
    add_into(memory_, gradient);
  else
    memory_.device().copy(memory_.raw(), gradient.raw(), memory_.bytes());
}

void backward(const Variable& root, Tensor seed, Observer* observer) {
  if (!root.needs_gradient()) return;
  std::vector<Node*> order{root.node().get()};
  order.front()->visited_ = true;
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const auto& input : order[i]->inputs_) {
      if (!input) continue;
      ++input->pending_;
      if (!std::exchange(input->visited_, true)) order.push_back(input.get());
    }
  }
  std::stable_sort(order.begin(), order.end(), [](const Node* a, const Node* b) { return a->depth_ > b->depth_; });
  for (Node* node : order) node->visited_ = false;

  if (!seed.defined()) {
    seed = Tensor::empty(root.value().device(), root.shape(), root.dtype());
    with_float_type(seed.dtype(), [&]<class T>() { seed.device().typed<T>().fill(seed.data<T>(), T(1), seed.elements()); });
  }
  order.front()->adopt(std::move(seed));
  for (Node* node : order) {
    Tensor gradient = std::exchange(node->gradient_, Tensor());
    if (observer && node->layer_) observer->backward(*node->layer_);
    if (gradient.defined()) node->backward(std::move(gradient));
    for (const auto& input : node->inputs_)
      if (input && --input->pending_ == 0) input->ready();
  }
}

void Values::set(const std::string& name, Variable value) {
  for (auto& [key, held] : items_)
    if (key == name) return void(held = std::move(value));
  items_.emplace_back(name, std::move(value));
}

const Variable* Values::find(const std::string& name) const {
  for (const auto& [key, held] : items_)
    if (key == name) return &held;
  return nullptr;
}

const Variable& Values::at(const std::string& name) const {
  if (const Variable* found = find(name)) return *found;
  std::string text = "no tensor is named '" + name + "'; there are:";
  for (const auto& [key, held] : items_) text += " " + key;
  throw UsageError(text);
}

}  // namespace chorale
