#include <chorale/launcher/signals.hpp>

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace chorale {

namespace {
std::atomic<int> requests{0};  // a handler can reach nothing else

void on_signal(int) {
  if (requests.fetch_add(1) > 0) ::_exit(130);
}
}  // namespace

void catch_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) ::sigaction(signal, &action, nullptr);
}

bool stop_requested() { return requests.load(std::memory_order_relaxed) > 0; }

}  // namespace chorale
