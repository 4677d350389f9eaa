#include <chorale/core/loss/multi_task_loss.hpp>

#include <cmath>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

Labelled labelled(const Tensor& target, const Tensor& weight) {
  Labelled out{Tensor::empty(target.device(), target.shape(), target.dtype()),
               Tensor::empty(target.device(), {target.rows()}, target.dtype())};
  with_float_type(target.dtype(), [&]<class T>() {
    for (std::int64_t i = 0; i < target.elements(); ++i) {
      const bool has = !std::isnan(target.data<T>()[i]);
      out.target.data<T>()[i] = has ? target.data<T>()[i] : T(0);
      out.weight.data<T>()[i] = !has ? T(0) : weight.defined() ? weight.data<T>()[i] : T(1);
    }
  });
  return out;
}

MultiTaskLoss::MultiTaskLoss(std::vector<Task> tasks, bool learns_weights)
    : tasks_(std::move(tasks)), learns_weights_(learns_weights), factor_(tasks_.size(), 1) {}

std::vector<LossTask> MultiTaskLoss::tasks() {
  std::vector<LossTask> out;
  for (const Task& task : tasks_) out.push_back({task.name, "y." + task.name, "target." + task.name, task.loss.get(), task.weight});
  return out;
}

std::vector<std::string> MultiTaskLoss::batch_fields() const {
  std::vector<std::string> out{"weight"};
  for (const Task& task : tasks_) out.push_back("target." + task.name);
  return out;
}

void MultiTaskLoss::take_batch(const Values& batch) {
  const Variable* weight = batch.find("weight");
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const Task& task = tasks_[t];
    const Tensor target = batch.at("target." + task.name).value();
    const bool is_binary = task.loss->task() == Loss::Task::binary;
    double sum = 0;
    with_float_type(target.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < target.elements(); ++i) {
        const double label = static_cast<double>(target.data<T>()[i]);
        if (std::isnan(label)) continue;
        const auto id = static_cast<std::size_t>(is_binary ? label > 0.5 : label);
        const double by_class = id < task.class_weights.size() ? task.class_weights[id] : 1;
        sum += by_class * (weight ? static_cast<double>(weight->value().data<T>()[i]) : 1);
      }
    });
    factor_[t] = sum > 0 ? static_cast<double>(target.rows()) / sum : 0;
  }
}

LossValue MultiTaskLoss::of_task(std::size_t t, const Values& results, const Values& in) {
  const Task& task = tasks_[t];
  const Variable* weight = in.find("weight");
  const Labelled rows = labelled(in.at("target." + task.name).value(), weight ? weight->value() : Tensor());
  LossValue out = task.loss->forward(results.at("y." + task.name), rows.target, rows.weight);
  const DType dtype = out.sample_loss.dtype();
  double scale = factor_[t] * task.weight, constant = 0;  // of a sample's loss
  out.total = scale * out.total;
  if (learns_weights_ && factor_[t] > 0) {
    const double half = task.loss->task() == Loss::Task::value ? 0.5 : 1;
    const Variable s = reshape(results.at("log_variance." + task.name), Shape{});
    out.total = half * (exp(-1.0 * s) * out.total) + (0.5 * static_cast<double>(out.sample_loss.rows())) * s;
    with_float_type(dtype, [&]<class T>() {
      const double value = static_cast<double>(*s.value().data<T>());
      scale *= half * std::exp(-value), constant = 0.5 * value;
    });
  }
  with_float_type(dtype, [&]<class T>() {
    const TypedKernels<T>& kernels = out.sample_loss.device().template typed<T>();
    T* losses = out.sample_loss.data<T>();
    kernels.unary(Unary::affine, {.x = losses, .y = losses, .n = out.sample_loss.elements(), .a = T(scale), .b = T(constant)});
    kernels.fill(out.sample_weight.data<T>(), T(1), out.sample_weight.elements());
  });
  return out;
}

LossValue MultiTaskLoss::of(const Values& results, const Values& in) {
  LossValue out = of_task(0, results, in);
  for (std::size_t t = 1; t < tasks_.size(); ++t) {
    const LossValue more = of_task(t, results, in);
    out.total = out.total + more.total;
    with_float_type(out.sample_loss.dtype(), [&]<class T>() {
      T* losses = out.sample_loss.data<T>();
      out.sample_loss.device().template typed<T>().binary(Binary::add, losses, more.sample_loss.data<T>(), losses,
                                                          out.sample_loss.elements());
    });
  }
  return out;
}

}  // namespace chorale
