#include <chorale/launcher/doctor/peaks.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include <chorale/comm/control/connection.hpp>
#include <chorale/core/device/device.hpp>
#include <chorale/launcher/doctor/probe.hpp>
#include <chorale/train/common_device.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kSide = 512;            // of the matrices
constexpr std::size_t kMostBytes = 64u << 20;  // of a copied buffer: beyond the caches
constexpr double kLongestMs = 150, kAllTurnsMs = 2000;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double gib_of(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  std::string word;
  for (double kib = 0; in >> word;)
    if (word == key + ":" && in >> kib) return kib / (1 << 20);
  return 0;
}

/// Calls `work` for about `ms`; amount a call, the best of the calls a second.
double best_rate(double ms, double amount, const std::function<void()>& work) {
  double best = 0;
  for (const Clock::time_point begin = Clock::now(); best == 0 || 1e3 * seconds_since(begin) < ms;) {
    const Clock::time_point start = Clock::now();
    work();
    best = std::max(best, amount / seconds_since(start));
  }
  return best;
}

/// A matrix product and a copy, ready to run.
class Load {
 public:
  Load(Device& device, std::size_t bytes)
      : device_(device), bytes_(bytes), a_(kSide * kSide, 0.5f), b_(a_), c_(a_), from_(bytes, 1), to_(bytes) {}
  double gflops(double ms) {
    const Gemm<float> product = {.a = a_.data(), .b = b_.data(), .c = c_.data(), .m = kSide, .n = kSide, .k = kSide};
    return best_rate(ms, 2e-9 * static_cast<double>(kSide * kSide * kSide), [&] { device_.gemm(product); });
  }
  double gbs(double ms) {
    return best_rate(ms, 2e-9 * static_cast<double>(bytes_), [&] { std::memcpy(to_.data(), from_.data(), bytes_); });
  }

 private:
  Device& device_;
  std::size_t bytes_;
  std::vector<float> a_, b_, c_;
  std::vector<unsigned char> from_, to_;
};

int most_ranks_of_a_node(const Communicator& comm) {
  int out = 0, run = 0;
  for (int r = 0; r < comm.size(); ++r) {
    run = r > 0 && comm.node_of(r) == comm.node_of(r - 1) ? run + 1 : 1;
    out = std::max(out, run);
  }
  return out;
}

nlohmann::json ask(Communicator& comm, const ProbeOrder&) {
  const char* threads = std::getenv("OMP_NUM_THREADS");
  ParallelOptions options;
  options.threads = std::clamp(threads ? std::atoi(threads) : 1, 1, 1024);
  const auto device = make_common_device(comm, options);
  PeakFacts mine = {.rank = comm.rank(), .host = host_name()};
  mine.memory_gib = gib_of("MemTotal"), mine.available_gib = gib_of("MemAvailable");
  // A tenth of what is there at most, for all ranks of the host.
  const double share = mine.available_gib * (1u << 30) / (20.0 * comm.node().size());
  Load load(*device, std::clamp(static_cast<std::size_t>(share), std::size_t{1} << 20, kMostBytes));
  const int turns = most_ranks_of_a_node(comm);
  const double ms = std::min(kLongestMs, kAllTurnsMs / (2 * turns));
  const double together_ms = kLongestMs * std::min(1.0, static_cast<double>(std::thread::hardware_concurrency()) / turns);
  load.gflops(1), load.gbs(1);  // kernels are made at first use
  for (int turn = 0; turn < turns; ++turn) {
    comm.barrier("doctor turn").wait();
    if (comm.node().rank() != turn) continue;
    mine.gflops_alone = load.gflops(ms), mine.gbs_alone = load.gbs(ms);
  }
  comm.barrier("doctor together").wait();
  mine.gflops_together = load.gflops(together_ms);
  comm.barrier("doctor together").wait();
  mine.gbs_together = load.gbs(together_ms);
  comm.barrier("doctor together").wait();
  return gather_facts(comm, mine, "doctor peaks");
}

struct Quantity {
  const char* check;
  double PeakFacts::*alone, PeakFacts::*together;
  const char* unit;
  const char* what;
  double least_together;  // of what one does alone; less is a warning
  const char* remedy;
};

double median_over(const std::vector<PeakFacts>& ranks, double PeakFacts::*field) {
  std::vector<double> values;
  for (const PeakFacts& r : ranks) values.push_back(r.*field);
  return median_of(std::move(values));
}

Finding judge_quantity(const std::vector<PeakFacts>& ranks, const Quantity& q) {
  const double alone = median_over(ranks, q.alone), together = median_over(ranks, q.together);
  const auto slowest = [&](double PeakFacts::*field) {
    return *std::min_element(ranks.begin(), ranks.end(), [&](const PeakFacts& a, const PeakFacts& b) { return a.*field < b.*field; });
  };
  const std::string text = ranks.size() == 1 ? fmt::format("{}: {:.3g} {}", q.what, alone, q.unit)
                                             : fmt::format("{}: a rank alone {:.3g} {}, {} at once {:.3g} each (medians)", q.what, alone,
                                                           q.unit, ranks.size(), together);
  for (const auto& [field, median, how] : {std::tuple(q.alone, alone, "alone"), std::tuple(q.together, together, "with all at once")})
    if (const PeakFacts worst = slowest(field); ranks.size() > 1 && 2 * (worst.*field) < median)
      return warning(q.check,
                     fmt::format("{} does {:.3g} {} {}, the median is {:.3g}; every step waits for the slowest\n{}",
                                 rank_text(worst.rank, worst.host), worst.*field, q.unit, how, median, text),
                     "look for other work, throttling (turbostat) and a bad memory channel on that host, or leave it out");
  if (ranks.size() > 1 && together < q.least_together * alone) return warning(q.check, text, q.remedy);
  return ok(q.check, text);
}

std::vector<Finding> judge(const nlohmann::json& facts) { return judge_peaks(facts.get<std::vector<PeakFacts>>()); }

}  // namespace

std::vector<Finding> judge_peaks(const std::vector<PeakFacts>& ranks) {
  std::vector<Finding> out = {
      judge_quantity(ranks,
                     {"matrix_product", &PeakFacts::gflops_alone, &PeakFacts::gflops_together, "GFLOP/s", "f32 matrix product", 0.6,
                      "ranks take each other's cores: see binding and ranks_above_cores; hardware threads of one core count as one"}),
      // Cores of a socket share its memory: a third of it each is usual.
      judge_quantity(ranks, {"memory", &PeakFacts::gbs_alone, &PeakFacts::gbs_together, "GB/s", "copy", 0.1,
                             "memory is shared by many: larger batches or fewer ranks a host move less; see --parallel.copies"})};
  const auto least = std::min_element(ranks.begin(), ranks.end(),
                                      [](const PeakFacts& a, const PeakFacts& b) { return a.available_gib < b.available_gib; });
  out[1].found += fmt::format("; {} has {:.1f} of {:.1f} GiB available", least->host, least->available_gib, least->memory_gib);
  out[0].values["ranks"] = ranks;
  return out;
}

Probe peaks_probe() {
  return {.name = "peaks",
          .checks = {"matrix_product", "memory"},
          .share = std::chrono::seconds(8),
          .needs_peers = false,
          .ask = ask,
          .judge = judge};
}

}  // namespace chorale
