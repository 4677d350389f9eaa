// LARS: gradient descent with momentum, the gradient of each tensor scaled to optimizer.trust_coefficient times the tensor's own norm (You,
// Gitman & Ginsburg 2017, algorithm 1, the rate outside of the momentum as in PyTorch's SGD). A tensor or gradient of norm 0 is not scaled,
// nor is what weight decay leaves out: norms and biases.
#include <chorale/core/optim/momentum.hpp>

#include <cmath>

namespace chorale {

namespace {

class Lars final : public KernelRule {
 public:
  explicit Lars(const OptimizerConfig& config)
      : KernelRule(config, kMomentumKernel, momentum_state(config), {.sums = 2, .gradient_again = true}) {}

 protected:
  void measure_run(const Device& device, const UpdateScalars& s, const Update<float>& run, double* sums) override {
    measure(device, s, run, sums);
  }
  void measure_run(const Device& device, const UpdateScalars& s, const Update<double>& run, double* sums) override {
    measure(device, s, run, sums);
  }
  void take_sums(UpdateScalars& s, std::size_t tensor, std::span<const double> sums) override {
    const double own = std::sqrt(sums[0]), gradient = std::sqrt(sums[1]);
    if (!is_scaled(tensor) || own == 0 || gradient == 0) return;
    const double trust = config().trust_coefficient * own / (gradient + s.l2 * own + s.eps);
    s.grad_scale *= trust, s.l2 *= trust, s.clip_value *= trust;
  }

 private:
  template <class T>
  static void measure(const Device& device, const UpdateScalars& s, const Update<T>& run, double* sums) {
    const TypedKernels<T>& kernels = device.typed<T>();
    sums[0] = kernels.sum_of_squares(run.p, run.n, T(1));
    sums[1] = kernels.sum_of_squares(run.g, run.n, static_cast<T>(s.grad_scale));
  }
};

}  // namespace

void register_lars(Registry& registry) {
  registry.of<OptimizerEntry>().add(
      "lars", {.help = "sgd scaled by the norm of each tensor, for large batches, You et al. 2017",
               .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> { return std::make_unique<Lars>(c); },
               .reads = {"momentum", "nesterov", "dampening", "trust_coefficient"}});
}

}  // namespace chorale
