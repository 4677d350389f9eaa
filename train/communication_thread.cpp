#include <chorale/train/communication_thread.hpp>

#include <signal.h>

#include <chrono>
#include <utility>

#include <chorale/comm/patience.hpp>

namespace chorale {

namespace {
/// A thread that leaves signals to the main one, whose calls they are meant to interrupt.
template <class F>
std::thread deaf_thread(F&& f) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // a new thread inherits the mask
  std::thread out(std::forward<F>(f));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return out;
}
}  // namespace

CommunicationThread::CommunicationThread(Exchange& exchange, bool has_core)
    : exchange_(exchange), has_core_(has_core), thread_(deaf_thread([this] { run(); })) {}

CommunicationThread::~CommunicationThread() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = has_orders_ = true;
  }
  orders_.notify_one();
  thread_.join();
}

void CommunicationThread::bucket_ready(const Bucket& bucket) {
  {
    const std::lock_guard lock(mutex_);
    if (error_) return;  // take_back() will say it
    queue_.push_back(bucket);
    carries_ = has_orders_ = true;
  }
  orders_.notify_one();
}

void CommunicationThread::take_back() {
  Patience patience(!has_core_);
  std::unique_lock lock(mutex_);
  if (carries_) {
    is_wanted_back_ = has_orders_ = true;
    lock.unlock();
    orders_.notify_one();
    while (carries_ && patience.spin()) continue;
    lock.lock();
    returned_.wait(lock, [&] { return !carries_; });
    is_wanted_back_ = false;
  }
  if (error_) std::rethrow_exception(std::exchange(error_, {}));
}

void CommunicationThread::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      orders_.wait(lock, [&] { return carries_ || ends_; });
      if (ends_) return;
    }
    std::exception_ptr error;
    try {
      carry();
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);  // the last hold of this thread: the main one destroys it
    if (error_) queue_.clear();
    carries_ = false;
    returned_.notify_one();
  }
}

void CommunicationThread::carry() {
  Patience patience(!has_core_);
  while (true) {
    const bool leaves = take_orders();
    if (!taken_.empty()) patience.restart();
    for (const Bucket& bucket : taken_) exchange_.bucket_ready(bucket);
    if (leaves) return;
    rest(exchange_.advance(), patience);
  }
}

/// True when the main thread wants everything back: then no bucket is left that it has announced.
bool CommunicationThread::take_orders() {
  taken_.clear();
  if (!has_orders_) return false;
  const std::lock_guard lock(mutex_);
  std::swap(queue_, taken_);
  has_orders_ = false;
  return is_wanted_back_ || ends_;
}

void CommunicationThread::rest(bool under_way, Patience& patience) {
  constexpr std::chrono::microseconds kLook(100);  // MPI gets on inside its calls only
  if (patience.spin()) return;
  if (under_way && !patience.is_sleepy()) {
    patience.pause();
    return;
  }
  std::unique_lock lock(mutex_);
  const auto called = [&] { return has_orders_.load(); };
  if (under_way)
    orders_.wait_for(lock, kLook, called), patience.slept();
  else
    orders_.wait(lock, called);
}

}  // namespace chorale
