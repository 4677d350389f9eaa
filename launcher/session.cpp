#include <chorale/launcher/session.hpp>

#include <cstdio>

#include <chorale/core/base/error.hpp>

namespace chorale {

void ConsoleLog::write(LogLevel level, std::string_view text) {
  if (rank_ != 0 && level != LogLevel::error) return;
  const std::lock_guard lock(mutex_);
  if (level == LogLevel::debug || !said_.emplace(text).second) return;
  const char* mark = level == LogLevel::warning ? "warning: " : level == LogLevel::error ? "error: " : "";
  std::fprintf(stderr, "chorale: %s%.*s\n", mark, static_cast<int>(text.size()), text.data());
}

namespace {
std::unique_ptr<Device> common_device(Communicator& comm, const ParallelOptions& options) {
  std::int32_t level = best_cpu_isa();
  if (options.isa != "auto") {
    std::int32_t wanted = options.isa == "avx512" ? 2 : options.isa == "avx2" ? 1 : 0;
    if (wanted > level) throw UsageError("parallel.isa = " + options.isa + " is not in this processor; its best is " + cpu_isa_name(level));
    level = wanted;
  }
  comm.all_reduce(buffer_of(std::span(&level, 1)), Reduce::min, "instruction set").wait();
  return make_cpu_device({.threads = static_cast<int>(options.threads), .isa = cpu_isa_name(level)});
}
}  // namespace

Session::Session(Communicator& communicator, const ParallelOptions& options) : comm(communicator), log(communicator.rank()) {
  comm.set_timeout_ms(static_cast<std::int64_t>(options.timeout_s * 1000));
  register_all(registry);
  device = common_device(comm, options);
}

}  // namespace chorale
