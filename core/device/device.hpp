// The seam between mathematics and machines: memory, order and kernels of one device. One rank owns one Device and calls it from one
// thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <chorale/core/base/buffer.hpp>
#include <chorale/core/device/kernels.hpp>

namespace chorale {

/// A queue of work. The CPU runs at once and has only the null stream.
struct Stream {
  void* handle = nullptr;
};

struct MemoryCounts {
  std::uint64_t system_allocations = 0;  // times the pool had to ask the system
  std::uint64_t bytes_held = 0;          // taken from the system
  std::uint64_t bytes_live = 0;          // handed out now
  std::uint64_t bytes_peak = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceId id() const = 0;
  /// For start-up tables: "cpu, avx512, 1 thread".
  virtual std::string text() const = 0;

  // Memory, from a pool: 64-byte aligned, contents undefined. release() takes the bytes that allocate() was given.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory, std::size_t bytes) noexcept = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes, Stream stream = {}) = 0;
  virtual void clear(void* memory, std::size_t bytes, Stream stream = {}) = 0;
  virtual MemoryCounts memory() const = 0;

  // Order.
  virtual void synchronize(Stream stream = {}) = 0;

  // Kernels.
  virtual const KernelTable& kernels() const = 0;
  virtual void gemm(const Gemm<float>& p) = 0;
  virtual void gemm(const Gemm<double>& p) = 0;
  virtual void convolve(const Convolution<float>& p) = 0;
  virtual void convolve(const Convolution<double>& p) = 0;
  virtual void convolve(const ConvolutionDataGradient<float>& p) = 0;
  virtual void convolve(const ConvolutionDataGradient<double>& p) = 0;
  virtual void convolve(const ConvolutionWeightGradient<float>& p) = 0;
  virtual void convolve(const ConvolutionWeightGradient<double>& p) = 0;

  template <class T>
  const TypedKernels<T>& typed() const {
    if constexpr (sizeof(T) == 4)
      return kernels().f32;
    else
      return kernels().f64;
  }
};

struct CpuOptions {
  int threads = 1;       // inside matrix products
  std::string isa = {};  // at most this one: "baseline", "avx2", "avx512"; empty: the processor's best
  bool openblas = true;  // for small products; never below the processor's best, to which it cannot be held
};

std::unique_ptr<Device> make_cpu_device(const CpuOptions& options = {});
/// The processor's best instruction set that has kernels here: 0 baseline, 1 avx2, 2 avx512. Ranks take the minimum.
int best_cpu_isa();
const char* cpu_isa_name(int level);
/// The libraries of matrix products and what they run on this processor: "oneDNN 2.7.3, OpenBLAS SkylakeX".
std::string cpu_libraries();

}  // namespace chorale
