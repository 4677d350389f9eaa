#include <chorale/launcher/folder_guard.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace chorale {

namespace {
using namespace std::chrono_literals;
constexpr auto kWithin = 5s;
constexpr auto kAgain = 5ms;
}  // namespace

FolderGuard::FolderGuard(const std::filesystem::path& folder) : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) return;
  const auto until = std::chrono::steady_clock::now() + kWithin;
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EINTR) &&
         std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(kAgain);
}

FolderGuard::~FolderGuard() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace chorale
