// cross_entropy of logits against class ids, plain, with smoothed labels, or focal.
#include <chorale/core/autograd/ops.hpp>
#include <chorale/core/loss/row_loss.hpp>

namespace chorale {

namespace {

/// logits [B, C], target [B] in [0, C); or of sequences logits [B, T, C] and target [B, T], each place a sample of its own.
class CrossEntropy final : public Loss {
 public:
  CrossEntropy(const char* name, const LossOptions& options, const LossConstants& constants)
      : name_(name), options_(options), constants_(constants) {}
  LossValue forward(const Variable& prediction, const Tensor& target, const Tensor& weight) override {
    if (prediction.shape().rank() == 3) return of_places(prediction, target, weight);
    check_rows(name_, prediction.value(), target, weight, true);
    const std::int64_t classes = prediction.value().row_elements();
    check_classes(target, classes);
    return row_loss(prediction, target, weight, weights_in(prediction.value(), classes), constants_,
                    [](const auto& kernels, const auto& p) { kernels.cross_entropy(p); });
  }
  Task task() const override { return Task::classes; }
  Tensor predict(const Tensor& prediction) const override { return softmax(Variable(prediction)).value(); }

 private:
  LossValue of_places(const Variable& prediction, const Tensor& target, const Tensor& weight) {
    const Shape& s = prediction.shape();
    const std::int64_t batch = s[0], time = s[1];
    if (!target.defined() || target.shape() != Shape{batch, time})
      throw ShapeError(std::string("[") + name_ + "] logits " + s.text() + " need targets [" + std::to_string(batch) + ", " +
                       std::to_string(time) + "], got " + target.shape().text());
    LossValue out = forward(reshape(prediction, {batch * time, s[2]}), target.reshape({batch * time}),
                            weight.defined() ? weight.reshape({weight.elements()}) : weight);
    out.sample_loss = out.sample_loss.reshape({batch, time}), out.sample_weight = out.sample_weight.reshape({batch, time});
    return out;
  }
  void check_classes(const Tensor& target, std::int64_t classes) const {
    with_float_type(target.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < target.elements(); ++i) {
        const T t = target.data<T>()[i];
        if (t >= T(0) && t < T(classes)) continue;
        throw DataError(std::string("[") + name_ + "] sample " + std::to_string(i) + " has class " + std::to_string(t) +
                        ", the model knows " + std::to_string(classes) + "; end model.layers with linear(number of classes)");
      }
    });
  }
  const Tensor& weights_in(const Tensor& like, std::int64_t classes) {
    if (options_.class_weights.empty() || class_weights_.defined()) return class_weights_;
    if (static_cast<std::int64_t>(options_.class_weights.size()) != classes)
      throw UsageError("train.class_weights has " + std::to_string(options_.class_weights.size()) + " numbers, the model has " +
                       std::to_string(classes) + " classes");
    class_weights_ = Tensor::empty(like.device(), {classes}, like.dtype());
    with_float_type(like.dtype(), [&]<class T>() {
      for (std::size_t c = 0; c < options_.class_weights.size(); ++c) class_weights_.data<T>()[c] = T(options_.class_weights[c]);
    });
    return class_weights_;
  }
  const char* name_;
  LossOptions options_;
  LossConstants constants_;
  Tensor class_weights_;
};

}  // namespace

void register_cross_entropy(Registry& registry) {
  auto& losses = registry.of<LossEntry>();
  losses.add("cross_entropy", {.help = "several classes, on as many logits",
                               .task = Loss::Task::classes,
                               .make = [](const LossOptions& o) -> std::unique_ptr<Loss> {
                                 return std::make_unique<CrossEntropy>("cross_entropy", o, LossConstants{.a = o.label_smoothing});
                               },
                               .reads = {"label_smoothing"}});
  losses.add("focal", {.help = "cross_entropy that counts what is right already for less (Lin et al. 2017)",
                       .task = Loss::Task::classes,
                       .make = [](const LossOptions& o) -> std::unique_ptr<Loss> {
                         return std::make_unique<CrossEntropy>("focal", o, LossConstants{.gamma = o.focal_gamma});
                       },
                       .reads = {"focal_gamma"}});
}

}  // namespace chorale
