// LAMB: Adam's step with decay, scaled for each tensor to the tensor's own norm (You et al. 2020, "Large batch optimization for deep
// learning: training BERT in 76 minutes", algorithm 2, phi the identity). A tensor or step of norm 0 is not scaled, nor
// is what weight decay leaves out: norms and biases.
#include <chorale/core/optim/adam.hpp>

#include <array>
#include <cmath>

namespace chorale {

namespace {

class Lamb final : public Adam {
 public:
  explicit Lamb(const OptimizerConfig& config) : Adam(config, {&TypedKernels<float>::lamb, &TypedKernels<double>::lamb}, {.sums = 2}) {}

 protected:
  void measure_run(const Device& device, const UpdateScalars& s, const Update<float>& run, double* sums) override {
    measure(device, s, run, sums);
  }
  void measure_run(const Device& device, const UpdateScalars& s, const Update<double>& run, double* sums) override {
    measure(device, s, run, sums);
  }
  void take_sums(UpdateScalars& scalars, std::size_t tensor, std::span<const double> sums) override {
    if (is_scaled(tensor) && sums[0] > 0 && sums[1] > 0) scalars.lr *= std::sqrt(sums[0]) / std::sqrt(sums[1]);
  }

 private:
  template <class T>
  static void measure(const Device& device, const UpdateScalars& scalars, Update<T> run, double* sums) {
    std::array<T, kBlock> direction;
    run.direction = direction.data();
    const TypedKernels<T>& kernels = device.typed<T>();
    kernels.lamb_moments(scalars, run);
    sums[0] = kernels.sum_of_squares(run.p, run.n, T(1));
    sums[1] = kernels.sum_of_squares(direction.data(), run.n, T(1));
  }
};

}  // namespace

void register_lamb(Registry& registry) {
  registry.of<OptimizerEntry>().add(
      "lamb", {.help = "Adam scaled by the norm of each tensor, for large batches, You et al. 2020",
               .make = [](const OptimizerConfig& c) -> std::unique_ptr<Optimizer> { return std::make_unique<Lamb>(c); },
               .decoupled_by_default = true});
}

}  // namespace chorale
