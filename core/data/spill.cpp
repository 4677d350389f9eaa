#include <chorale/core/data/spill.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <chorale/core/base/error.hpp>

namespace chorale {

std::string spill_directory(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  const char* tmpdir = std::getenv("TMPDIR");
  return tmpdir && *tmpdir ? tmpdir : "/tmp";
}

int open_spill(const std::string& wanted) {
  const std::string directory = spill_directory(wanted);
  std::string pattern = directory + "/chorale-XXXXXX";
  const int descriptor = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (descriptor < 0)
    throw IoError("[spill] no temporary file in " + directory + ": " + std::strerror(errno) + "; point TMPDIR to a writable directory");
  ::unlink(pattern.c_str());
  return descriptor;
}

}  // namespace chorale
