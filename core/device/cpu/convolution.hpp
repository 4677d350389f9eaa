// Convolutions of one rank: f32 through oneDNN, channels-last; f64 as products with unfolded images. One thread calls.
#pragma once
#include <memory>

#include <chorale/core/device/kernels.hpp>

namespace chorale {

class CpuConvolution {
 public:
  CpuConvolution();
  ~CpuConvolution();
  void run(const Convolution<float>& p);
  void run(const ConvolutionDataGradient<float>& p);
  void run(const ConvolutionWeightGradient<float>& p);

 private:
  struct Primitives;
  std::unique_ptr<Primitives> primitives_;
};

/// The reference path.
void convolve_plainly(const Convolution<double>& p);
void convolve_plainly(const ConvolutionDataGradient<double>& p);
void convolve_plainly(const ConvolutionWeightGradient<double>& p);

}  // namespace chorale
