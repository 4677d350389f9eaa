// Preloaded into the program: fails the n-th call of one kind with an errno, and records all of them in order.
//   CHORALE_FAULT_FAIL    CALL:N:ERRNO[:PART], with CALL of pwrite fsync fallocate rename; only paths that hold PART count. N- : from the
//                         n-th on
//   CHORALE_FAULT_RECORD  a file that gets a line "CALL PATH" for each of these calls
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

template <class F>
F* next(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

struct Order {
  std::string call, part;
  long number = 0, error = 0;
  bool onwards = false;
};

Order read_order() {
  Order out;
  const char* text = std::getenv("CHORALE_FAULT_FAIL");
  if (!text) return out;
  char call[32] = {}, number[32] = {}, part[256] = {};
  if (std::sscanf(text, "%31[^:]:%31[^:]:%ld:%255s", call, number, &out.error, part) < 3) std::abort();
  out.call = call, out.part = part, out.number = std::atol(number), out.onwards = std::strchr(number, '-') != nullptr;
  return out;
}

std::string path_of(int descriptor) {
  char link[64], path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t n = ::readlink(link, path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : "?";
}

std::string absolute(const char* path) {
  char folder[PATH_MAX];
  if (path[0] == '/' || !::getcwd(folder, sizeof folder)) return path;
  return std::string(folder) + "/" + path;
}

/// True when this call is the one to fail; errno is set then.
bool fails(const char* call, const std::string& path) {
  static const Order order = read_order();
  static const char* record = std::getenv("CHORALE_FAULT_RECORD");
  static std::atomic<long> seen{0};
  if (record) {
    const std::string line = std::string(call) + " " + path + "\n";
    const int file = ::open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || ::write(file, line.data(), line.size()) < 0) std::abort();
    ::close(file);
  }
  if (order.call != call || path.find(order.part) == std::string::npos) return false;
  const long n = ++seen;
  if (order.onwards ? n < order.number : n != order.number) return false;
  errno = static_cast<int>(order.error);
  return true;
}

}  // namespace

extern "C" {

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  static auto* real = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return fails("pwrite", path_of(descriptor)) ? -1 : real(descriptor, bytes, count, offset);
}

int fsync(int descriptor) {
  static auto* real = next<int(int)>("fsync");
  return fails("fsync", path_of(descriptor)) ? -1 : real(descriptor);
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
  static auto* real = next<int(int, int, off_t, off_t)>("fallocate");
  return fails("fallocate", path_of(descriptor)) ? -1 : real(descriptor, mode, offset, length);
}

int rename(const char* from, const char* to) noexcept {
  static auto* real = next<int(const char*, const char*)>("rename");
  return fails("rename", absolute(from) + " " + absolute(to)) ? -1 : real(from, to);
}
}
