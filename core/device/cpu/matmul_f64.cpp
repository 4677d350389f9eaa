// The plain f64 path: Eigen's product, the reference that finite differences and fast kernels are tested against.
#include <Eigen/Core>

#include <chorale/core/device/cpu/matmul.hpp>

namespace chorale {

void CpuMatmul::run(const Gemm<double>& p) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Read = Eigen::Map<const Matrix>;
  Eigen::Map<Matrix> c(p.c, p.m, p.n);
  if (!p.accumulate) c.setZero();
  if (p.m == 0 || p.n == 0 || p.k == 0) return;
  const Read a(p.a, p.a_transposed ? p.k : p.m, p.a_transposed ? p.m : p.k), b(p.b, p.b_transposed ? p.n : p.k, p.b_transposed ? p.k : p.n);
  if (p.a_transposed && p.b_transposed)
    c.noalias() += a.transpose() * b.transpose();
  else if (p.a_transposed)
    c.noalias() += a.transpose() * b;
  else if (p.b_transposed)
    c.noalias() += a * b.transpose();
  else
    c.noalias() += a * b;
}

}  // namespace chorale
