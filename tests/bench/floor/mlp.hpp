// A fully connected network with ReLU between its layers, as a page of loops: what a step costs when there is no framework.
#pragma once
#include <cstddef>
#include <vector>

#include <chorale/tests/bench/floor/gemm.hpp>

namespace chorale::bench {

/// One rank's network and batch. Parameters and gradients are flat buffers of parameters() floats that the caller owns.
/// Width 1 at the end means binary cross-entropy, more means cross-entropy of classes.
class Mlp {
 public:
  Mlp(std::vector<int> widths, int batch, Gemm gemm);
  std::size_t parameters() const { return parameters_; }  // with padding: every tensor starts at 64 bytes
  void initialise(float* p) const;                        // equal on all ranks
  void make_batch(unsigned seed);
  void forward(const float* p);
  double loss();                            // mean over the batch; prepares the gradient of the logits
  void backward(const float* p, float* g);  // g: sums over the batch

 private:
  struct Layer {
    int in, out;
    std::size_t weight, bias;  // offsets; weight is [in, out]
    std::vector<float> y, dy;  // [batch, out]
  };
  double binary_loss(Layer& last);
  double class_loss(Layer& last);
  std::vector<Layer> layers_;
  std::vector<float> x_;
  std::vector<int> target_;
  int batch_;
  Gemm gemm_;
  std::size_t parameters_ = 0;
};

}  // namespace chorale::bench
