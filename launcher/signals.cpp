#include <chorale/launcher/signals.hpp>

#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace chorale {

namespace {
std::atomic<int> ends{0}, requeues{0};  // a handler can reach nothing else

std::atomic<bool> may_leave{false};

void on_interrupt(int signal) {
  const bool again = ends.fetch_add(1) > 0;
  if (again && may_leave) ::_exit(130);
  if (signal != SIGINT || !may_leave) return;
  const itimerval limit = {.it_interval = {}, .it_value = {.tv_sec = 1, .tv_usec = 500000}};
  ::setitimer(ITIMER_REAL, &limit, nullptr);
}

/// Schedulers repeat themselves: the second one changes nothing.
void on_requeue(int) { requeues.fetch_add(1); }

void on_limit(int) { ::_exit(130); }
}  // namespace

void catch_signals(bool leaves) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGALRM, on_limit);
  may_leave = leaves;
  struct sigaction action {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_requeue;
  for (const int signal : {SIGTERM, SIGUSR1, SIGUSR2}) ::sigaction(signal, &action, nullptr);
  action.sa_handler = on_interrupt;
  // An mpirun that gets Ctrl-C sends its ranks SIGTERM. Slurm means time by it; and who watches a run passes Ctrl-C on, so that TERM comes
  // from others, who end that mpirun or one rank.
  if (std::getenv("OMPI_COMM_WORLD_SIZE") && !std::getenv("SLURM_JOB_ID") && !std::getenv("CHORALE_SUPERVISOR"))
    ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  struct sigaction old {};
  if (::sigaction(SIGHUP, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) return;  // nohup
  ::sigaction(SIGHUP, &action, nullptr);
}

TermEnds::TermEnds() {
  struct sigaction leave {};
  leave.sa_handler = SIG_DFL;
  ::sigaction(SIGTERM, &leave, &caught_);
}

TermEnds::~TermEnds() { ::sigaction(SIGTERM, &caught_, nullptr); }

Stop requested_stop() {
  if (ends.load(std::memory_order_relaxed) > 0) return Stop::interrupt;
  return requeues.load(std::memory_order_relaxed) > 0 ? Stop::requeue : Stop::none;
}

bool stop_requested() { return requested_stop() != Stop::none; }

int interrupts() { return ends.load(std::memory_order_relaxed); }

void request_stop(Stop stop) {
  if (stop == Stop::interrupt) ends.fetch_add(1);
  if (stop == Stop::requeue) requeues.fetch_add(1);
}

}  // namespace chorale
