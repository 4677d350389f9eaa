#include <cstring>
#include <string>

#include <dnnl.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/device/cpu/convolution.hpp>
#include <chorale/core/device/cpu/matmul.hpp>
#include <chorale/core/device/cpu/pool.hpp>
#include <chorale/core/device/device.hpp>

namespace chorale {

namespace baseline {
void fill_table(KernelTable& table);
}
namespace avx2 {
void fill_table(KernelTable& table);
}
namespace avx512 {
void fill_table(KernelTable& table);
}

int best_cpu_isa() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd"))
    return 2;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") ? 1 : 0;
}

const char* cpu_isa_name(int level) { return level == 2 ? "avx512" : level == 1 ? "avx2" : "baseline"; }

namespace {

int isa_level(const std::string& wanted) {
  const int best = best_cpu_isa();
  if (wanted.empty()) return best;
  for (int level = 0; level <= 2; ++level) {
    if (wanted != cpu_isa_name(level)) continue;
    if (level > best) throw UsageError("instruction set " + wanted + " is not in this processor; its best is " + cpu_isa_name(best));
    return level;
  }
  throw UsageError("instruction set '" + wanted + "' is unknown; use baseline, avx2 or avx512");
}

class CpuDevice : public Device {
 public:
  explicit CpuDevice(const CpuOptions& options)
      : level_(isa_level(options.isa)), threads_(options.threads), matmul_(options.threads, options.openblas && level_ == best_cpu_isa()) {
    // Fails once a primitive exists: then the first rank of this process has already set the same limit.
    if (level_ < best_cpu_isa()) dnnl::set_max_cpu_isa(level_ == 0 ? dnnl::cpu_isa::sse41 : dnnl::cpu_isa::avx2);
    if (level_ == 2)
      avx512::fill_table(table_);
    else if (level_ == 1)
      avx2::fill_table(table_);
    else
      baseline::fill_table(table_);
  }

  DeviceId id() const override { return {}; }
  std::string text() const override {
    return std::string("cpu, ") + table_.isa + ", " + std::to_string(threads_) + (threads_ == 1 ? " thread" : " threads");
  }

  void* allocate(std::size_t bytes) override { return pool_.allocate(bytes); }
  void release(void* memory, std::size_t bytes) noexcept override { pool_.release(memory, bytes); }
  void copy(void* to, const void* from, std::size_t bytes, Stream) override {
    if (bytes) std::memcpy(to, from, bytes);
  }
  void clear(void* memory, std::size_t bytes, Stream) override {
    if (bytes) std::memset(memory, 0, bytes);
  }
  MemoryCounts memory() const override { return pool_.counts(); }
  void synchronize(Stream) override {}

  const KernelTable& kernels() const override { return table_; }
  void gemm(const Gemm<float>& p) override {
    if (p.n == 1 && p.b_transposed && !p.a_transposed && !p.accumulate)  // one output: a matrix-vector product, bias included
      return table_.f32.row_vector(p.a, p.b, p.c, p.m, p.k, p.bias ? *p.bias : 0.0f);
    if (!matmul_.run(p) && p.bias) table_.f32.add_rows(p.c, p.bias, p.m, p.n);
  }
  void gemm(const Gemm<double>& p) override {
    matmul_.run(p);
    if (p.bias) table_.f64.add_rows(p.c, p.bias, p.m, p.n);
  }
  void convolve(const Convolution<float>& p) override { convolution_.run(p); }
  void convolve(const Convolution<double>& p) override { convolve_plainly(p); }
  void convolve(const ConvolutionDataGradient<float>& p) override { convolution_.run(p); }
  void convolve(const ConvolutionDataGradient<double>& p) override { convolve_plainly(p); }
  void convolve(const ConvolutionWeightGradient<float>& p) override { convolution_.run(p); }
  void convolve(const ConvolutionWeightGradient<double>& p) override { convolve_plainly(p); }

 private:
  int level_, threads_;
  KernelTable table_{};
  CpuPool pool_;
  CpuMatmul matmul_;
  CpuConvolution convolution_;
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(const CpuOptions& options) { return std::make_unique<CpuDevice>(options); }

}  // namespace chorale
