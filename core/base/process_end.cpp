#include <chorale/core/base/process_end.hpp>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <utility>

#include <chorale/core/base/process_stat.hpp>

namespace chorale {

namespace {

/// struct pidfd_info of linux/pidfd.h in its first form; the headers here are older than the kernels that it runs on.
struct PidfdInfo {
  std::uint64_t mask, cgroup;
  std::uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t kExit = 1 << 3;

/// Of a process that its parent has waited for.
std::optional<int> end_of_reaped(int descriptor) {
  PidfdInfo info = {};
  info.mask = kExit;
  if (::ioctl(descriptor, _IOWR(0xFF, 11, PidfdInfo), &info) != 0 || !(info.mask & kExit)) return std::nullopt;
  return info.exit_code;
}

/// Of one that it has not: the last field of /proc/ID/stat.
std::optional<int> end_of_zombie(std::int64_t process) {
  const std::string line = process_stat(process);
  const std::size_t name = line.rfind(')'), last = line.find_last_of("0123456789");
  if (name == std::string::npos || name + 2 >= line.size() || line[name + 2] != 'Z' || last < name) return std::nullopt;
  const std::size_t first = line.rfind(' ', last) + 1;
  int status = 0;
  const auto [end, error] = std::from_chars(line.data() + first, line.data() + last + 1, status);
  return error == std::errc() ? std::optional(status) : std::nullopt;
}

}  // namespace

ProcessEnd::ProcessEnd(std::int64_t process) : process_(process) {
  if (process > 0) descriptor_ = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(process), 0));
}

ProcessEnd::~ProcessEnd() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

ProcessEnd::ProcessEnd(ProcessEnd&& other) noexcept
    : process_(other.process_), descriptor_(std::exchange(other.descriptor_, -1)), seen_(other.seen_) {}

ProcessEnd& ProcessEnd::operator=(ProcessEnd&& other) noexcept {
  std::swap(process_, other.process_), std::swap(descriptor_, other.descriptor_), std::swap(seen_, other.seen_);
  return *this;
}

std::optional<int> ProcessEnd::status() {
  if (seen_ || descriptor_ < 0) return seen_;
  pollfd ended = {descriptor_, POLLIN, 0};
  if (::poll(&ended, 1, 0) <= 0) return std::nullopt;  // it lives
  seen_ = end_of_zombie(process_);
  if (!seen_) seen_ = end_of_reaped(descriptor_);  // in this order: it may be waited for in between
  return seen_;
}

}  // namespace chorale
