// How another process of this machine has ended, for those that are not its parent: which signal killed a rank's neighbour?
#pragma once
#include <cstdint>
#include <optional>

namespace chorale {

/// Watches from the moment it is made. One thread.
class ProcessEnd {
 public:
  /// process: 0, or one that is not there, is watched in vain.
  explicit ProcessEnd(std::int64_t process);
  ~ProcessEnd();
  ProcessEnd(ProcessEnd&& other) noexcept;
  ProcessEnd& operator=(ProcessEnd&& other) noexcept;
  /// As waitpid gives it. Empty: it lives, or nobody can know: before Linux 6.15 only a zombie's end is seen, which lasts until its parent
  /// has asked for it.
  std::optional<int> status();

 private:
  std::int64_t process_;
  int descriptor_ = -1;  // pidfd
  std::optional<int> seen_;
};

}  // namespace chorale
