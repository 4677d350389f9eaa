#include <chorale/launcher/session.hpp>

#include <cstdio>

#include <chorale/train/common_device.hpp>

namespace chorale {

void ConsoleLog::write(LogLevel level, std::string_view text) {
  if (rank_ != 0 && level != LogLevel::error) return;
  const std::lock_guard lock(mutex_);
  if (level == LogLevel::debug || !said_.emplace(text).second) return;
  const char* mark = level == LogLevel::warning ? "warning: " : level == LogLevel::error ? "error: " : "";
  std::fprintf(stderr, "chorale: %s%.*s\n", mark, static_cast<int>(text.size()), text.data());
}

Session::Session(Communicator& communicator, const ParallelOptions& options) : comm(communicator), log(communicator.rank()) {
  comm.set_timeout_ms(static_cast<std::int64_t>(options.timeout_s * 1000));
  register_all(registry);
  device = make_common_device(comm, options);
}

}  // namespace chorale
