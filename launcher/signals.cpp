#include <chorale/launcher/signals.hpp>

#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

namespace chorale {

namespace {
std::atomic<int> requests{0};  // a handler can reach nothing else

std::atomic<bool> is_limited{false};

void on_signal(int signal) {
  if (requests.fetch_add(1) > 0) ::_exit(130);
  if (signal != SIGINT || !is_limited) return;
  const itimerval limit = {.it_interval = {}, .it_value = {.tv_sec = 1, .tv_usec = 500000}};
  ::setitimer(ITIMER_REAL, &limit, nullptr);
}

void on_limit(int) { ::_exit(130); }
}  // namespace

void catch_signals(bool limited) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGALRM, on_limit);
  is_limited = limited;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    struct sigaction old {};
    if (signal == SIGHUP && ::sigaction(signal, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;  // nohup
    ::sigaction(signal, &action, nullptr);
  }
}

bool stop_requested() { return requests.load(std::memory_order_relaxed) > 0; }

}  // namespace chorale
