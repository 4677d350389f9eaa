#include <chorale/comm/crash_watch.hpp>

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <ctime>

#include <chorale/comm/backtrace.hpp>
#include <chorale/comm/raw_text.hpp>

namespace chorale {
namespace {

constexpr std::size_t kMost = 256;  // ranks of one process; more go without
constexpr std::size_t kStackBytes = 128 * 1024;

// A handler reaches nothing else.
std::array<std::atomic<RankWatch*>, kMost> watches;
std::atomic_flag dying = ATOMIC_FLAG_INIT;

constexpr std::array<std::pair<int, std::string_view>, 9> kSignals = {{{SIGSEGV, "SIGSEGV"},
                                                                       {SIGBUS, "SIGBUS"},
                                                                       {SIGFPE, "SIGFPE"},
                                                                       {SIGABRT, "SIGABRT"},
                                                                       {SIGILL, "SIGILL"},
                                                                       {SIGSYS, "SIGSYS"},
                                                                       {SIGTRAP, "SIGTRAP"},
                                                                       {SIGXCPU, "SIGXCPU"},
                                                                       {SIGQUIT, "SIGQUIT"}}};

std::string_view text_of(int number) {
  for (const auto& [signal, text] : kSignals)
    if (signal == number) return text;
  return "a signal";
}

/// The first words about it come from the rank itself: others only see that it has gone. Before there is a run directory the frames follow.
void say(RankWatch& watch, std::string_view reason) noexcept {
  RawText out(STDERR_FILENO);
  const Sighting at = watch.presence().read();
  const char* frames = watch.recorder().backtrace_path();
  out.put("chorale: rank ").put(watch.recorder().rank()).put(": ").put(reason).put(", last seen in ");
  const std::string_view what(at.what, ::strnlen(at.what, sizeof at.what));
  if (at.activity == Activity::communicating && !what.empty())
    out.put(what);
  else
    out.put(name(at.activity)).put(what.empty() ? "" : " '").put(what).put(what.empty() ? "" : "'");
  if (at.step > 0) out.put(" in step ").put(at.step);
  out.put("; the frames of its threads ").put(frames[0] != '\0' ? "are in " : "follow").put(frames).put("\n");
  if (frames[0] == '\0') write_backtraces(out, reason);
}

void on_crash(int number) {
  // A second fault, also one of the lines below, ends the process at once.
  ::signal(number, SIG_DFL);
  if (!dying.test_and_set()) {
    RankWatch* first = nullptr;
    for (const auto& each : watches) {
      RankWatch* watch = each.load();
      if (watch) watch->dump(text_of(number), false);
      if (!first) first = watch;
    }
    if (first) say(*first, text_of(number));
    if (first) write_backtraces(first->recorder().backtrace_path(), text_of(number));
  } else {
    const timespec limit = {3, 0};  // another thread is writing
    ::nanosleep(&limit, nullptr);
  }
  ::raise(number);
}

}  // namespace

CrashWatch::CrashWatch(RankWatch& watch) : watch_(&watch), stack_(std::make_unique<char[]>(kStackBytes)) {
  prepare_backtraces();
  for (auto& each : watches)
    if (RankWatch* empty = nullptr; each.compare_exchange_strong(empty, watch_)) break;
  stack_t stack{};
  stack.ss_sp = stack_.get(), stack.ss_size = kStackBytes;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK;
  for (const auto& [number, text] : kSignals) ::sigaction(number, &action, nullptr);
}

CrashWatch::~CrashWatch() {
  for (auto& each : watches)
    if (RankWatch* mine = watch_; each.compare_exchange_strong(mine, nullptr)) break;
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
}

}  // namespace chorale
