// What train, eval, predict and bench have in common on each rank: registry, device of the lowest common instruction set, log.
#pragma once
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/device/device.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// Rank 0 speaks to the terminal, where equal lines are said once, and of warnings at the end how often; every rank writes all of its lines
/// to a file, once there is one.
class ConsoleLog final : public Log {
 public:
  explicit ConsoleLog(int rank) : rank_(rank) {}
  ~ConsoleLog() override;
  ConsoleLog(const ConsoleLog&) = delete;
  ConsoleLog& operator=(const ConsoleLog&) = delete;
  void write(LogLevel level, std::string_view text) override;
  /// From now on, and with what was said before, lines go to logs/rank_N.jsonl of `folder` too. A file that cannot be written is done
  /// without, after a warning.
  void open(const std::filesystem::path& folder);
  /// To the file only: what the terminal hears elsewhere.
  void note(LogLevel level, std::string_view text);

 private:
  void file_line(LogLevel level, std::string_view text);
  static void show(LogLevel level, std::string_view text);
  int rank_;
  std::mutex mutex_;
  struct Said {
    LogLevel level;
    std::int64_t times;
  };
  std::map<std::string, Said> said_;
  std::vector<std::string> early_;  // lines from before the file was there
  std::ofstream file_;
};

/// One rank of a command.
struct Session {
  Session(Communicator& communicator, const ParallelOptions& options, const WatchdogOptions& watchdog = {});
  Communicator& comm;
  Registry registry;
  ConsoleLog log;
  std::unique_ptr<Device> device;  // all ranks of one instruction set
};

}  // namespace chorale
