// A hub with a thread of its own, and what tests ask of it.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <string>
#include <thread>

#include <chorale/comm/control/channel.hpp>
#include <chorale/comm/control/hub.hpp>

namespace chorale {

/// A hub that a thread serves until it is told to go.
struct ServedHub {
  explicit ServedHub(int ranks) : hub({.ranks = ranks, .secret = secret, .address = "127.0.0.1"}) {
    thread = std::thread([this] {
      while (!over) {
        {
          const std::lock_guard lock(mutex);
          hub.serve(std::chrono::milliseconds(0));
        }
        std::this_thread::sleep_for(std::chrono::microseconds(500));  // who waits for the lock gets it
      }
    });
  }
  ~ServedHub() { end(); }
  void end() {
    over = true;
    if (thread.joinable()) thread.join();
  }
  template <class F>
  auto with(F&& f) {
    const std::lock_guard lock(mutex);
    return f(hub);
  }
  template <class F>
  bool soon(F&& f) {
    for (int i = 0; i < 3000; ++i) {
      if (with(f)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  ControlChannel::Options options(int rank, int local_rank = 0, std::string host = host_name()) {
    ControlChannel::Options out;
    out.hub = {.host = "127.0.0.1", .port = hub.port(), .secret = secret};
    out.rank = rank, out.local_rank = local_rank, out.host = std::move(host);
    return out;
  }
  std::string secret = new_secret();
  ControlHub hub;
  std::mutex mutex;
  std::atomic<bool> over{false};
  std::thread thread;
};

/// A process that waits for its end, by a signal for which the test's framework has no handler. It stays a zombie, which every kernel lets
/// others see; waiting for it is the destructor's.
struct Mortal {
  Mortal() : process(::fork()) {
    if (process != 0) return;
    for (;;) ::pause();
  }
  ~Mortal() {
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
  }
  Mortal(const Mortal&) = delete;
  Mortal& operator=(const Mortal&) = delete;
  void end_by(int signal) const { ::kill(process, signal); }
  pid_t process;
};

inline RankStatus::State state_of(const ControlHub& hub, int rank) { return hub.ranks()[static_cast<std::size_t>(rank)].state; }

}  // namespace chorale
