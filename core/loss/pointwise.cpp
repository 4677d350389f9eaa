// Losses of one target for each prediction, each a functor; a row's loss is the mean over its columns.
#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/loss/row_loss.hpp>

namespace chorale {

namespace {

/// What an entry of the registry is, beside its name.
struct PointwiseRule {
  const char* name;
  Pointwise op;
  double LossOptions::*constant;  // null: it has none
  bool is_log = false;            // of a mean above 0: a target is not negative, a prediction is exp of the output
};

class PointwiseLoss final : public Loss {
 public:
  PointwiseLoss(const PointwiseRule& rule, const LossOptions& options) : rule_(rule), options_(options) {
    if (!options.class_weights.empty() && (task() != Task::binary || options.class_weights.size() != 2))
      throw UsageError(std::string("train.class_weights: ") + rule.name +
                       (task() == Task::binary ? " needs 2 numbers" : " has no classes"));
  }
  LossValue forward(const Variable& prediction, const Tensor& target, const Tensor& weight) override {
    check_rows(rule_.name, prediction.value(), target, weight, false);
    if (rule_.is_log) check_targets(target);
    const Tensor& weights = weights_in(prediction.value());
    return row_loss(prediction, target, weight, weights, {.a = rule_.constant ? options_.*rule_.constant : 0},
                    [op = rule_.op](const auto& kernels, const auto& p) { kernels.pointwise_loss(op, p); });
  }
  Task task() const override {
    return rule_.op == Pointwise::binary_cross_entropy || rule_.op == Pointwise::binary_focal ? Task::binary : Task::value;
  }
  Tensor predict(const Tensor& prediction) const override {
    if (task() == Task::binary) return sigmoid(Variable(prediction)).value();
    return rule_.is_log ? exp(Variable(prediction)).value() : prediction;
  }

 private:
  void check_targets(const Tensor& target) const {
    with_float_type(target.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < target.elements(); ++i)
        if (const T t = target.data<T>()[i]; t < T(0))
          throw DataError(std::string("[") + rule_.name + "] sample " + std::to_string(i / target.row_elements()) + " has the target " +
                          std::to_string(t) + "; it must not be below 0: use mse, mae, huber or pinball");
    });
  }
  const Tensor& weights_in(const Tensor& like) {
    if (options_.class_weights.empty() || class_weights_.defined()) return class_weights_;
    class_weights_ = Tensor::empty(like.device(), {2}, like.dtype());
    with_float_type(like.dtype(), [&]<class T>() {
      for (int c = 0; c < 2; ++c) class_weights_.data<T>()[c] = T(options_.class_weights[static_cast<std::size_t>(c)]);
    });
    return class_weights_;
  }
  PointwiseRule rule_;
  LossOptions options_;
  Tensor class_weights_;
};

template <const PointwiseRule& kRule>
std::unique_ptr<Loss> make(const LossOptions& options) {
  return std::make_unique<PointwiseLoss>(kRule, options);
}

constexpr PointwiseRule kBinary = {"binary_cross_entropy", Pointwise::binary_cross_entropy, &LossOptions::label_smoothing};
constexpr PointwiseRule kFocal = {"binary_focal", Pointwise::binary_focal, &LossOptions::focal_gamma};
constexpr PointwiseRule kMse = {"mse", Pointwise::mse, nullptr}, kMae = {"mae", Pointwise::mae, nullptr};
constexpr PointwiseRule kHuber = {"huber", Pointwise::huber, &LossOptions::huber_delta};
constexpr PointwiseRule kPinball = {"pinball", Pointwise::pinball, &LossOptions::quantile};
constexpr PointwiseRule kPoisson = {"poisson", Pointwise::poisson, nullptr, true};
constexpr PointwiseRule kTweedie = {"tweedie", Pointwise::tweedie, &LossOptions::tweedie_power, true};

}  // namespace

void register_pointwise_losses(Registry& registry) {
  using Task = Loss::Task;
  auto& losses = registry.of<LossEntry>();
  losses.add(kBinary.name, {"two classes, on one logit", Task::binary, make<kBinary>, {"label_smoothing"}});
  losses.add(
      kFocal.name,
      {"binary_cross_entropy that counts what is right already for less (Lin et al. 2017)", Task::binary, make<kFocal>, {"focal_gamma"}});
  losses.add(kMse.name, {"squared error of values", Task::value, make<kMse>});
  losses.add(kMae.name, {"absolute error of values", Task::value, make<kMae>});
  losses.add(kHuber.name, {"squared error up to train.huber_delta, absolute beyond", Task::value, make<kHuber>, {"huber_delta"}});
  losses.add(kPinball.name,
             {"of the quantile train.quantile, above which as many values lie as it says", Task::value, make<kPinball>, {"quantile"}});
  losses.add(kPoisson.name, {"counts and other values from 0, by the log of their mean", Task::value, make<kPoisson>, {}, 0});
  losses.add(
      kTweedie.name,
      {"values from 0, many of them 0, by the log of their mean (sales, claims)", Task::value, make<kTweedie>, {"tweedie_power"}, 0});
}

}  // namespace chorale
