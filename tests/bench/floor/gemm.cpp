#include <chorale/tests/bench/floor/gemm.hpp>

#include <cblas.h>
#include <dnnl.h>
#include <omp.h>

#include <stdexcept>

namespace chorale::bench {

void use_one_thread() {
  openblas_set_num_threads(1);
  omp_set_num_threads(1);
}

Gemm gemm_of(const std::string& name) {
  if (name == "onednn") return Gemm::onednn;
  if (name == "openblas") return Gemm::openblas;
  throw std::invalid_argument("--gemm is onednn or openblas, got " + name);
}

void multiply(Gemm gemm, const Product& p, const float* a, const float* b, float* c) {
  const int lda = p.a_transposed ? p.m : p.k, ldb = p.b_transposed ? p.k : p.n;
  if (gemm == Gemm::openblas) {
    cblas_sgemm(CblasRowMajor, p.a_transposed ? CblasTrans : CblasNoTrans, p.b_transposed ? CblasTrans : CblasNoTrans, p.m, p.n, p.k, 1.0f,
                a, lda, b, ldb, p.beta, c, p.n);
    return;
  }
  const auto status =
      dnnl_sgemm(p.a_transposed ? 'T' : 'N', p.b_transposed ? 'T' : 'N', p.m, p.n, p.k, 1.0f, a, lda, b, ldb, p.beta, c, p.n);
  if (status != dnnl_success) throw std::runtime_error("dnnl_sgemm failed with status " + std::to_string(status));
}

}  // namespace chorale::bench
