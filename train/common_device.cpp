#include <chorale/train/common_device.hpp>

#include <algorithm>
#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

int wanted_level(const std::string& isa) {
  const int best = best_cpu_isa();
  if (isa == "auto") return best;
  for (int level = 0; level <= 2; ++level) {
    if (isa != cpu_isa_name(level)) continue;
    if (level > best) throw UsageError("parallel.isa = " + isa + " is not in this processor; its best is " + cpu_isa_name(best));
    return level;
  }
  throw UsageError("parallel.isa = " + isa + " is unknown; use auto, baseline, avx2 or avx512");
}

}  // namespace

std::unique_ptr<Device> make_common_device(Communicator& comm, const ParallelOptions& options) {
  std::int32_t level = wanted_level(options.isa);
  comm.all_reduce(buffer_of(std::span(&level, 1)), Reduce::min, "instruction set").wait();
  const std::string mine = cpu_libraries();
  const auto all = all_gather_bytes(comm, std::as_bytes(std::span(mine)), "matrix libraries");
  const bool alike = std::all_of(all.begin(), all.end(), [&](const auto& other) { return other == all.front(); });
  return make_cpu_device({.threads = static_cast<int>(options.threads), .isa = cpu_isa_name(level), .openblas = alike});
}

}  // namespace chorale
