// Layers beside each other: a sum with what came in, and results side by side.
#pragma once
#include <memory>
#include <vector>

#include <chorale/core/nn/sequential.hpp>

namespace chorale {

/// y = main(x) + shortcut(x), the shortcut being x itself where there is none. Children "main" and "shortcut".
/// Source: He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016.
class Residual final : public Layer {
 public:
  /// in: shape of a row. Throws ShapeError where the two do not give equal shapes.
  Residual(std::unique_ptr<Sequential> main, std::unique_ptr<Sequential> shortcut, const Shape& in);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override { return forward_with_epilogue(x, {}, pass); }
  bool takes_epilogue() const override { return main_->takes_epilogue(); }
  Variable forward_with_epilogue(const Variable& x, const Epilogue& epilogue, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override { return main_->output_shape(in); }
  std::string name() const override;

 private:
  std::unique_ptr<Sequential> main_, shortcut_;
};

/// The branches' results for the same x beside each other in the last dimension, [B, ..., C1 + C2 + ...]. Children "0", "1", ...
/// Source: Szegedy et al., "Going deeper with convolutions", CVPR 2015.
class Concat final : public Layer {
 public:
  /// Throws ShapeError where branches differ in more than the last extent.
  Concat(std::vector<std::unique_ptr<Sequential>> branches, const Shape& in);
  using Layer::forward;
  Variable forward(const Variable& x, const Pass& pass) override;
  Shape output_shape(const Shape& in) const override;
  std::string name() const override;

 private:
  std::vector<std::unique_ptr<Sequential>> branches_;
};

/// y = x.
class Identity final : public Layer {
 public:
  using Layer::forward;
  Variable forward(const Variable& x, const Pass&) override { return x; }
  std::string name() const override { return "identity"; }
};

}  // namespace chorale
