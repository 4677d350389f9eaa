// What most rules are: one kernel of the device.
#pragma once
#include <chorale/core/optim/optimizer.hpp>

namespace chorale {

/// A kernel in both element types.
struct RuleKernel {
  UpdateKernel<float> TypedKernels<float>::*f32;
  UpdateKernel<double> TypedKernels<double>::*f64;
};

class KernelRule : public Optimizer {
 public:
  KernelRule(const OptimizerConfig& config, RuleKernel kernel, std::vector<std::string> state_names, UpdateNeeds needs = {})
      : Optimizer(config, std::move(state_names), needs), kernel_(kernel) {}

 protected:
  void update_run(const Device& device, const UpdateScalars& scalars, const Update<float>& run, Place) const override {
    (device.kernels().f32.*kernel_.f32)(scalars, run);
  }
  void update_run(const Device& device, const UpdateScalars& scalars, const Update<double>& run, Place) const override {
    (device.kernels().f64.*kernel_.f64)(scalars, run);
  }

 private:
  RuleKernel kernel_;
};

}  // namespace chorale
