#include <chorale/comm/backtrace.hpp>

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <chorale/comm/raw_text.hpp>

namespace chorale {
namespace {

// A handler reaches nothing else.
std::atomic<int> target{-1};
std::atomic<int> answers{0};
std::atomic_flag busy = ATOMIC_FLAG_INIT;

int question() { return SIGRTMIN + 7; }

void write_own_frames(int file) {
  void* frames[100];
  ::backtrace_symbols_fd(frames, ::backtrace(frames, 100), file);
}

void on_question(int) {
  const int before = errno;
  if (const int file = target.load(); file >= 0) write_own_frames(file), answers.fetch_add(1);
  errno = before;
}

void pause_ms(long ms) {
  const timespec time = {0, ms * 1000000};
  ::nanosleep(&time, nullptr);
}

void put_name(RawText& out, pid_t thread) noexcept {
  char path[64] = "/proc/self/task/", digits[16], text[32] = {};
  char* end = digits + sizeof digits - 1;
  *end = '\0';
  do *--end = static_cast<char>('0' + thread % 10);
  while (thread /= 10);
  std::strcat(path, end);
  std::strcat(path, "/comm");
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t length = file >= 0 ? ::read(file, text, sizeof text - 1) : 0;
  if (file >= 0) ::close(file);
  out.put("\nthread ").put(end).put(" ").put({text, length > 0 ? static_cast<std::size_t>(length) : 0});
}

void put_thread(RawText& out, pid_t thread) noexcept {
  put_name(out, thread);
  out.flush();
  if (thread == static_cast<pid_t>(::syscall(SYS_gettid))) return write_own_frames(out.file());
  constexpr int kTries = 150;  // of 2 ms
  answers = 0;
  target = out.file();
  bool answered = ::syscall(SYS_tgkill, ::getpid(), thread, question()) == 0;
  for (int i = 0; answered && answers == 0; ++i) {
    answered = i < kTries;
    pause_ms(2);
  }
  target = -1;  // who comes later finds nothing to write to
  if (!answered) out.put("  does not answer\n").flush();
}

void write_all(RawText& out, std::string_view reason) noexcept;

struct DirectoryEntry {
  std::uint64_t inode;
  std::int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[1];
};

}  // namespace

void prepare_backtraces() {
  void* frame = nullptr;
  ::backtrace(&frame, 1);  // its first call allocates
}

void write_backtraces(const char* path, std::string_view reason) noexcept {
  if (path[0] == '\0' || busy.test_and_set()) return;
  {
    RawText out(path);
    write_all(out, reason);
  }
  busy.clear();
}

void write_backtraces(RawText& out, std::string_view reason) noexcept {
  if (busy.test_and_set()) return;
  write_all(out, reason);
  busy.clear();
}

namespace {
void write_all(RawText& out, std::string_view reason) noexcept {
  struct sigaction action {};
  action.sa_handler = on_question;
  action.sa_flags = SA_RESTART;
  ::sigaction(question(), &action, nullptr);
  out.put(reason).put("\n");
  const int folder = ::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  alignas(8) char buffer[4096];
  // Not readdir, which allocates.
  for (long bytes = 0; folder >= 0 && (bytes = ::syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;) {
    for (long at = 0; at < bytes;) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      if (const int thread = std::atoi(buffer + at + offsetof(DirectoryEntry, name)); thread > 0) put_thread(out, thread);
      at += entry->length;
    }
  }
  if (folder >= 0) ::close(folder);
}
}  // namespace

}  // namespace chorale
