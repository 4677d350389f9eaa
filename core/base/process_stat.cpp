#include <chorale/core/base/process_stat.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace chorale {

std::string process_stat(std::int64_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/stat";
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  char text[4096];  // 52 numbers and a name of 64 characters at most
  ssize_t read = 0;
  do read = ::read(descriptor, text, sizeof text);
  while (read < 0 && errno == EINTR);
  ::close(descriptor);
  return read > 0 ? std::string(text, static_cast<std::size_t>(read)) : std::string();
}

}  // namespace chorale
