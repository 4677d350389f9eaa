#include <chorale/core/device/cpu/matmul.hpp>

#include <cblas.h>
#include <dnnl.hpp>

#include <cstring>
#include <map>
#include <tuple>
#include <unordered_map>

#include <chorale/core/base/error.hpp>
#include <chorale/core/device/device.hpp>

extern "C" void omp_set_num_threads(int);

namespace chorale {

namespace {

using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, bool, bool, bool, bool>;  // m n k ta tb accumulate bias

struct Cached {
  dnnl::matmul primitive;
  dnnl::memory a, b, c, bias;
  std::unordered_map<int, dnnl::memory> arguments;
};

dnnl::memory::desc matrix(std::int64_t rows, std::int64_t cols, bool transposed) {
  const dnnl::memory::dims strides = transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{cols, 1};
  return {{rows, cols}, dnnl::memory::data_type::f32, strides};
}

/// Measured on Zen 4, one thread: below two million operations OpenBLAS starts faster; from there oneDNN's matmul primitive wins for b
/// transposed (the forward product) and its sgemm for the two gradients.
constexpr std::int64_t kSmall = 2'000'000;
/// Forward products: few outputs leave most of the primitive's tile empty, and its start costs some 10 us on Sapphire Rapids.
constexpr std::int64_t kFewOutputs = 32, kFewOperations = 1 << 20, kManyOutputs = 100;

void blas(const Gemm<float>& p) {
  const int lda = static_cast<int>(p.a_transposed ? p.m : p.k), ldb = static_cast<int>(p.b_transposed ? p.k : p.n);
  cblas_sgemm(CblasRowMajor, p.a_transposed ? CblasTrans : CblasNoTrans, p.b_transposed ? CblasTrans : CblasNoTrans, static_cast<int>(p.m),
              static_cast<int>(p.n), static_cast<int>(p.k), 1.0f, p.a, lda, p.b, ldb, p.accumulate ? 1.0f : 0.0f, p.c,
              static_cast<int>(p.n));
}

void sgemm(const Gemm<float>& p) {
  const auto status = dnnl_sgemm(p.a_transposed ? 'T' : 'N', p.b_transposed ? 'T' : 'N', p.m, p.n, p.k, 1.0f, p.a,
                                 p.a_transposed ? p.m : p.k, p.b, p.b_transposed ? p.k : p.n, p.accumulate ? 1.0f : 0.0f, p.c, p.n);
  if (status != dnnl_success) throw InternalError("[matmul] dnnl_sgemm failed with status " + std::to_string(status));
}

}  // namespace

std::string cpu_libraries() {
  const dnnl_version_t* v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch) + ", OpenBLAS " +
         openblas_get_corename();
}

struct CpuMatmul::Primitives {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<Key, Cached> cache;

  Cached& at(const Gemm<float>& p) {
    const Key key{p.m, p.n, p.k, p.a_transposed, p.b_transposed, p.accumulate, p.bias != nullptr};
    auto it = cache.find(key);
    if (it != cache.end()) return it->second;
    const auto a = matrix(p.m, p.k, p.a_transposed), b = matrix(p.k, p.n, p.b_transposed), c = matrix(p.m, p.n, false);
    dnnl::primitive_attr attributes;
    if (p.accumulate) {
      dnnl::post_ops after;
      after.append_sum(1.0f);
      attributes.set_post_ops(after);
    }
    Cached made;
    const dnnl::memory::desc bias({1, p.n}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
    const dnnl::matmul::desc what = p.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
    made.primitive = dnnl::matmul(dnnl::matmul::primitive_desc(what, attributes, engine));
    made.a = dnnl::memory(a, engine, nullptr);
    made.b = dnnl::memory(b, engine, nullptr);
    made.c = dnnl::memory(c, engine, nullptr);
    made.arguments = {{DNNL_ARG_SRC, made.a}, {DNNL_ARG_WEIGHTS, made.b}, {DNNL_ARG_DST, made.c}};
    if (p.bias) {
      made.bias = dnnl::memory(bias, engine, nullptr);
      made.arguments.emplace(DNNL_ARG_BIAS, made.bias);
    }
    return cache.emplace(key, std::move(made)).first->second;
  }

  void run(const Gemm<float>& p) {
    Cached& c = at(p);
    c.a.set_data_handle(const_cast<float*>(p.a));
    c.b.set_data_handle(const_cast<float*>(p.b));
    c.c.set_data_handle(p.c);
    if (p.bias) c.bias.set_data_handle(const_cast<float*>(p.bias));
    c.primitive.execute(stream, c.arguments);
  }
};

CpuMatmul::CpuMatmul(int threads, bool use_blas) : use_blas_(use_blas) {
  omp_set_num_threads(threads);  // of this thread's parallel regions
  openblas_set_num_threads(threads);
  primitives_ = std::make_unique<Primitives>();
}

CpuMatmul::~CpuMatmul() = default;

bool CpuMatmul::run(const Gemm<float>& p) {
  if (p.m == 0 || p.n == 0) return true;
  if (p.k == 0) {
    if (!p.accumulate) std::memset(p.c, 0, sizeof(float) * static_cast<std::size_t>(p.m * p.n));
    return false;
  }
  const std::int64_t operations = p.m * p.n * p.k * 2;
  const bool small = operations < kSmall;
  const bool starts_fast = small && use_blas_ && (p.n >= kManyOutputs || (p.n <= kFewOutputs && operations <= kFewOperations));
  if (p.b_transposed && !p.a_transposed && p.n > 1 && !starts_fast) {
    primitives_->run(p);
    return true;
  }
  if (small && use_blas_)
    blas(p);
  else
    sgemm(p);
  return p.bias == nullptr;
}

}  // namespace chorale
