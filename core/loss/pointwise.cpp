// binary_cross_entropy on logits, mse, mae, huber: one target for each prediction; a row's loss is the mean over its columns.
#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/loss/row_loss.hpp>

namespace chorale {

namespace {

class PointwiseLoss final : public Loss {
 public:
  PointwiseLoss(const char* name, Pointwise op, const LossOptions& options) : name_(name), op_(op), options_(options) {
    if (!options.class_weights.empty() && (op != Pointwise::binary_cross_entropy || options.class_weights.size() != 2))
      throw UsageError(std::string("train.class_weights: ") + name +
                       (op == Pointwise::binary_cross_entropy ? " needs 2 numbers" : " has no classes"));
  }
  LossValue forward(const Variable& prediction, const Tensor& target, const Tensor& weight) override {
    check_rows(name_, prediction.value(), target, weight, false);
    const Tensor& weights = weights_in(prediction.value());
    return row_loss(prediction, target, weight, weights, options_.huber_delta,
                    [op = op_](const auto& kernels, const auto& p) { kernels.pointwise_loss(op, p); });
  }
  Task task() const override { return op_ == Pointwise::binary_cross_entropy ? Task::binary : Task::value; }
  Tensor predict(const Tensor& prediction) const override {
    return op_ == Pointwise::binary_cross_entropy ? sigmoid(Variable(prediction)).value() : prediction;
  }

 private:
  const Tensor& weights_in(const Tensor& like) {
    if (options_.class_weights.empty() || class_weights_.defined()) return class_weights_;
    class_weights_ = Tensor::empty(like.device(), {2}, like.dtype());
    with_float_type(like.dtype(), [&]<class T>() {
      for (int c = 0; c < 2; ++c) class_weights_.data<T>()[c] = T(options_.class_weights[static_cast<std::size_t>(c)]);
    });
    return class_weights_;
  }
  const char* name_;
  Pointwise op_;
  LossOptions options_;
  Tensor class_weights_;
};

}  // namespace

void register_pointwise_losses(Registry& registry) {
  auto& losses = registry.of<LossEntry>();
  losses.add("binary_cross_entropy", {"two classes, on one logit", Loss::Task::binary, [](const LossOptions& o) -> std::unique_ptr<Loss> {
                                        return std::make_unique<PointwiseLoss>("binary_cross_entropy", Pointwise::binary_cross_entropy, o);
                                      }});
  losses.add("mse", {"squared error of values", Loss::Task::value, [](const LossOptions& o) -> std::unique_ptr<Loss> {
                       return std::make_unique<PointwiseLoss>("mse", Pointwise::mse, o);
                     }});
  losses.add("mae", {"absolute error of values", Loss::Task::value, [](const LossOptions& o) -> std::unique_ptr<Loss> {
                       return std::make_unique<PointwiseLoss>("mae", Pointwise::mae, o);
                     }});
  losses.add("huber",
             {"squared error up to train.huber_delta, absolute beyond", Loss::Task::value,
              [](const LossOptions& o) -> std::unique_ptr<Loss> { return std::make_unique<PointwiseLoss>("huber", Pointwise::huber, o); }});
}

}  // namespace chorale
