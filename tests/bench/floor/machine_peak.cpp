// What one core can do, measured and never taken from a table: operations of a large matrix product, bytes of a copy that no cache holds.
// Prints one JSON object: gflops, copy_gbs (bytes read and written), barrier_us between two ranks.
#include <cstring>

#include <chorale/tests/bench/floor/gemm.hpp>
#include <chorale/tests/bench/floor/measure.hpp>
#include <chorale/tests/bench/floor/team.hpp>

namespace {

using namespace chorale::bench;
using Clock = StepTimes::Clock;

template <class Work>
double best_seconds(int repeats, const Work& work) {
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

double peak_gflops() {
  constexpr int m = 384, n = 384, k = 384;  // about a millisecond: short enough to run undisturbed now and then
  std::vector<float> a(m * k, 0.5f), b(k * n, 0.25f), c(m * n);
  double best = 0;
  for (const Gemm gemm : {Gemm::onednn, Gemm::openblas}) {
    const double seconds = best_seconds(200, [&] { multiply(gemm, {.m = m, .n = n, .k = k}, a.data(), b.data(), c.data()); });
    best = std::max(best, 2.0 * m * n * k / seconds / 1e9);
  }
  return best;
}

double copy_gbs() {
  constexpr std::size_t kFloats = 24u << 20;
  float *from = map_floats(kFloats, false), *to = map_floats(kFloats, false);
  std::fill_n(from, kFloats, 1.0f);
  const double seconds = best_seconds(40, [&] { std::memcpy(to, from, kFloats * sizeof(float)); });
  return 2.0 * kFloats * sizeof(float) / seconds / 1e9;
}

}  // namespace

int main() {
  use_one_thread();
  const double gflops = peak_gflops(), gbs = copy_gbs();
  Team team(2);
  constexpr int kBarriers = 2000;
  const double seconds = best_seconds(20, [&] {
    for (int i = 0; i < kBarriers; ++i) team.barrier();
  });
  if (team.rank() == 0)
    std::printf("{\"program\": \"machine_peak\", \"gflops\": %.2f, \"copy_gbs\": %.2f, \"barrier_us\": %.3f}\n", gflops, gbs,
                seconds / kBarriers * 1e6);
  std::fflush(stdout);
  team.end();
}
