// One matrix product, by oneDNN or OpenBLAS: the floors and the Open MPI program are measured with both.
#pragma once
#include <string>

namespace chorale::bench {

enum class Gemm { onednn, openblas };
/// Products run on the calling thread alone, whatever the environment says.
void use_one_thread();
Gemm gemm_of(const std::string& name);  // throws std::invalid_argument

/// c [m, n] = op(a) op(b) + beta c, all row-major and dense; op(a) is [m, k], op(b) is [k, n].
struct Product {
  int m, n, k;
  bool a_transposed = false, b_transposed = false;
  float beta = 0;
};
void multiply(Gemm gemm, const Product& p, const float* a, const float* b, float* c);

}  // namespace chorale::bench
