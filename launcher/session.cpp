#include <chorale/launcher/session.hpp>

#include <cstdio>
#include <nlohmann/json.hpp>

#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/utc_time.hpp>
#include <chorale/train/common_device.hpp>

namespace chorale {

void ConsoleLog::open(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "logs" / ("rank_" + std::to_string(rank_) + ".jsonl");
  {
    const std::lock_guard lock(mutex_);
    file_.open(path, std::ios::app);
    for (const std::string& line : early_) file_ << line;
    early_.clear();
    file_.flush();
  }
  if (!file_) warning(path.string() + ": writing failed, the run goes on without");
}

void ConsoleLog::note(LogLevel level, std::string_view text) {
  const std::lock_guard lock(mutex_);
  file_line(level, text);
}

void ConsoleLog::file_line(LogLevel level, std::string_view text) {
  constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
  const nlohmann::ordered_json j = {
      {"time", utc_now()}, {"rank", rank_}, {"level", kNames[static_cast<int>(level)]}, {"text", std::string(text)}};
  const std::string line = j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (file_.is_open())
    file_ << line << std::flush;
  else if (early_.size() < 1000)
    early_.push_back(line);
}

void ConsoleLog::write(LogLevel level, std::string_view text) {
  const std::lock_guard lock(mutex_);
  file_line(level, text);
  if (level == LogLevel::debug || (rank_ != 0 && level != LogLevel::error)) return;
  if (++said_.try_emplace(std::string(text), Said{level, 0}).first->second.times == 1) show(level, text);
}

ConsoleLog::~ConsoleLog() {
  for (const auto& [text, said] : said_)
    if (said.level == LogLevel::warning && said.times > 1)
      show(LogLevel::warning, "said " + std::to_string(said.times) + " times: " + text);
}

void ConsoleLog::show(LogLevel level, std::string_view text) {
  const char* mark = level == LogLevel::warning ? "warning: " : level == LogLevel::error ? "error: " : "";
  const std::string shown = printable(text);
  // A progress bar may stand in the line.
  std::fprintf(stderr, "%schorale: %s%.*s\n", terminal_columns() > 0 ? "\r\x1b[K" : "", mark, static_cast<int>(shown.size()), shown.data());
}

Session::Session(Communicator& communicator, const ParallelOptions& options, const WatchdogOptions& watchdog)
    : comm(communicator), log(communicator.rank()) {
  comm.set_timeout_ms(static_cast<std::int64_t>(watchdog.seconds * 1000));
  if (watchdog.seconds < 10 && comm.node_count() > 1 && comm.rank() == 0)
    log.warning("watchdog.seconds is below 10: between nodes a network that pauses for 2 s may be silent for longer than that");
  register_all(registry);
  device = make_common_device(comm, options);
}

}  // namespace chorale
