// What train, eval, predict and bench have in common on each rank: registry, device of the lowest common instruction set, log.
#pragma once
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/log.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/device/device.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// Rank 0 speaks to the terminal; equal lines are said once.
class ConsoleLog final : public Log {
 public:
  explicit ConsoleLog(int rank) : rank_(rank) {}
  void write(LogLevel level, std::string_view text) override;

 private:
  int rank_;
  std::mutex mutex_;
  std::set<std::string> said_;
};

/// One rank of a command.
struct Session {
  Session(Communicator& communicator, const ParallelOptions& options);
  Communicator& comm;
  Registry registry;
  ConsoleLog log;
  std::unique_ptr<Device> device;  // all ranks of one instruction set
};

}  // namespace chorale
