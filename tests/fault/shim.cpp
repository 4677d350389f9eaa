// Preloaded into the program: fails the n-th call of one kind with an errno, and records all of them in order.
//   CHORALE_FAULT_FAIL    CALL:N:ERRNO[:PART], with CALL of pwrite fsync fallocate rename; only paths that hold PART count. N- : from the
//                         n-th on
//   CHORALE_FAULT_KILL    init:RANK:FILE or finalize:RANK:FILE, that rank gets SIGKILL inside MPI_Init_thread or MPI_Finalize, while it
//   meets
//                         the others through PMIx; once, for it makes FILE
//                         A rank goes by what mpirun or srun calls it.
//   CHORALE_FAULT_CLOCK   RANK:SECONDS:FILE, that rank's wall clock (not the monotonic one) jumps so far as soon as FILE is there
//   CHORALE_FAULT_RECORD  a file that gets a line "CALL PATH" for each of these calls
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
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

bool is_rank(int rank) {
  const char* own = std::getenv("OMPI_COMM_WORLD_RANK");
  if (!own) own = std::getenv("PMIX_RANK");  // srun's ranks; srun itself has none
  return own && std::atoi(own) == rank;
}

/// In MPI_Init_thread ("init") or MPI_Finalize ("finalize").
std::atomic<const char*> inside{""};

void kill_inside() {
  const char* text = std::getenv("CHORALE_FAULT_KILL");
  char call[16] = {}, file[PATH_MAX] = {};
  int rank = 0;
  if (!text || std::sscanf(text, "%15[^:]:%d:%4095s", call, &rank, file) != 3) return;
  if (!is_rank(rank) || std::strcmp(call, inside.load()) != 0) return;
  if (::open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0) ::kill(::getpid(), SIGKILL);
}

/// Seconds by which this process's wall clock is wrong now.
time_t jump() {
  struct Jump {
    time_t seconds = 0;
    char file[PATH_MAX] = {};
  };
  static const Jump wanted = [] {
    Jump out;
    int rank = 0;
    const char* text = std::getenv("CHORALE_FAULT_CLOCK");
    if (!text || std::sscanf(text, "%d:%ld:%4095s", &rank, &out.seconds, out.file) != 3 || !is_rank(rank)) out.seconds = 0;
    return out;
  }();
  static std::atomic<bool> jumped{false};
  if (wanted.seconds == 0) return 0;
  if (!jumped && ::access(wanted.file, F_OK) == 0) jumped = true;
  return jumped ? wanted.seconds : 0;
}

}  // namespace

extern "C" {

int MPI_Init_thread(int* argc, char*** argv, int wanted, int* given) {
  static auto* real = next<int(int*, char***, int, int*)>("MPI_Init_thread");
  inside = "init";
  const int out = real(argc, argv, wanted, given);
  inside = "";
  return out;
}

int MPI_Finalize() {
  static auto* real = next<int()>("MPI_Finalize");
  inside = "finalize";
  const int out = real();
  inside = "";
  return out;
}

int PMIx_Commit() {
  static auto* real = next<int()>("PMIx_Commit");
  kill_inside();
  return real();
}

int PMIx_Finalize(const void* info, size_t count) {
  static auto* real = next<int(const void*, size_t)>("PMIx_Finalize");
  kill_inside();
  return real(info, count);
}

int PMIx_Fence_nb(const void* who, size_t count, const void* info, size_t infos, void* call, void* data) {
  static auto* real = next<int(const void*, size_t, const void*, size_t, void*, void*)>("PMIx_Fence_nb");
  kill_inside();
  return real(who, count, info, infos, call, data);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static auto* real = next<int(clockid_t, timespec*)>("clock_gettime");
  const int out = real(clock, time);
  if (out == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += jump();
  return out;
}

int gettimeofday(timeval* time, void* zone) noexcept {
  static auto* real = next<int(timeval*, void*)>("gettimeofday");
  const int out = real(time, zone);
  if (out == 0) time->tv_sec += jump();
  return out;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

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
