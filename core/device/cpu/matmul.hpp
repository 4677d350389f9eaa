// f32 matrix products of one rank: oneDNN and OpenBLAS, each where it was measured to be faster; f64 through Eigen. One thread calls.
#pragma once
#include <memory>

#include <chorale/core/device/kernels.hpp>

namespace chorale {

class CpuMatmul {
 public:
  /// use_blas false: oneDNN only, whose instruction set can be limited.
  CpuMatmul(int threads, bool use_blas);
  ~CpuMatmul();
  /// c and, where given, bias. Returns false when the bias was not added.
  bool run(const Gemm<float>& p);
  void run(const Gemm<double>& p);

 private:
  struct Primitives;
  std::unique_ptr<Primitives> primitives_;
  bool use_blas_;
};

}  // namespace chorale
