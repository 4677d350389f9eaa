// A parameter: name, shape, how it starts, and a leaf of the graph. Its memory lies in the arena (FlatParams), which binds it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include <chorale/core/autograd/variable.hpp>

namespace chorale {

/// What a parameter holds at step 0. Weights follow the scheme of `model.init`; fan_in and fan_out as Glorot & Bengio 2010 define them.
/// normal: of deviation 1, whatever the scheme: tables of vectors.
struct Init {
  enum class Role : std::uint8_t { weight, bias, zeros, ones, normal } role = Role::weight;
  std::int64_t fan_in = 1, fan_out = 1;
  double gain = 1;  // what is drawn is multiplied by it, ones too
};

/// Which part of the arena: trainable ones get gradients and optimiser state; frozen ones and buffers do not.
enum class Segment : std::uint8_t { trainable, frozen, buffer };

class Parameter {
 public:
  Parameter(Shape shape, Init init, Segment segment = Segment::trainable)
      : shape_(shape), init_(init), segment_(segment), leaf_(std::make_shared<LeafNode>()) {}

  const Shape& shape() const { return shape_; }
  const Init& init() const { return init_; }
  /// Before the arena draws it.
  void set_gain(double gain) { init_.gain = gain; }
  /// Its first values are those of a parameter of that name, instead of its own: copies of a model start alike. Before the arena draws it.
  void draw_as(const std::string& name) { drawn_as_ = name; }
  /// Empty: its own name.
  const std::string& drawn_as() const { return drawn_as_; }
  Segment segment() const { return segment_; }
  /// Before the arena is laid out: it keeps what it starts with. Buffers stay buffers.
  void freeze() {
    if (segment_ == Segment::trainable) segment_ = Segment::frozen;
  }
  /// Between steps: it is used as it is, and no graph is recorded through it; its gradient counts as zero.
  void set_held(bool is_held) { is_held_ = is_held; }
  const Tensor& value() const { return value_; }
  LeafNode& leaf() { return *leaf_; }
  void bind(Tensor value) { value_ = std::move(value); }
  /// Of a buffer: where a training pass leaves what it saw, and where the next value is written. Undefined: nobody wants it.
  const Tensor& staged() const { return staged_; }
  void stage_in(Tensor memory) { staged_ = std::move(memory); }
  /// For a forward pass; with `record` the gradient will reach the arena.
  Variable use(bool record) const {
    return record && segment_ == Segment::trainable && !is_held_ ? Variable(value_, leaf_) : Variable(value_);
  }

 private:
  Shape shape_;
  Init init_;
  Segment segment_;
  std::string drawn_as_;
  bool is_held_ = false;
  Tensor value_, staged_;
  std::shared_ptr<LeafNode> leaf_;
};

}  // namespace chorale
