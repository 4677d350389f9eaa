#include <chorale/launcher/signals.hpp>

#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

namespace chorale {

namespace {
std::atomic<int> requests{0};  // a handler can reach nothing else

std::atomic<bool> may_leave{false};

void on_signal(int signal) {
  const bool again = requests.fetch_add(1) > 0;
  if (again && may_leave) ::_exit(130);
  if (signal != SIGINT || !may_leave) return;
  const itimerval limit = {.it_interval = {}, .it_value = {.tv_sec = 1, .tv_usec = 500000}};
  ::setitimer(ITIMER_REAL, &limit, nullptr);
}

void on_limit(int) { ::_exit(130); }
}  // namespace

void catch_signals(bool leaves) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGALRM, on_limit);
  may_leave = leaves;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    struct sigaction old {};
    if (signal == SIGHUP && ::sigaction(signal, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;  // nohup
    ::sigaction(signal, &action, nullptr);
  }
}

int stop_requests() { return requests.load(std::memory_order_relaxed); }

bool stop_requested() { return requests.load(std::memory_order_relaxed) > 0; }

}  // namespace chorale
