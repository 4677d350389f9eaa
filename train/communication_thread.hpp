// The thread that carries finished buckets between nodes while the main thread is in backward, where a core is free for it.
// One thread at a time calls the communicator: from the first bucket of a step until take_back() it is this one, at all other times the
// main thread. The exchange goes with it. Both change hands under one mutex.
#pragma once
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <chorale/train/exchange/exchange.hpp>

namespace chorale {

/// Its functions are called by one thread, the main one.
class CommunicationThread final : public BucketSink {
 public:
  /// has_core: the thread may spin while something is under way; else it gives the core away and looks at intervals.
  CommunicationThread(Exchange& exchange, bool has_core);
  /// Joins. What is under way stays as it is.
  ~CommunicationThread() override;
  CommunicationThread(const CommunicationThread&) = delete;
  CommunicationThread& operator=(const CommunicationThread&) = delete;

  /// During backward, in index order. From the first one on the caller leaves exchange and communicator alone, abort() excepted.
  void bucket_ready(const Bucket& bucket) override;
  bool advance() override { return false; }
  /// Exchange and communicator are the caller's again. The exchange has been told of every ready bucket. Waits for calls that do not
  /// block. Throws what the thread met.
  void take_back();

 private:
  void run();
  void carry();
  bool take_orders();
  void rest(bool under_way, class Patience& patience);

  Exchange& exchange_;
  const bool has_core_;
  std::mutex mutex_;
  std::condition_variable orders_, returned_;
  std::vector<Bucket> queue_;            // ready, the thread has not seen them
  std::vector<Bucket> taken_;            // the thread's own
  std::atomic<bool> carries_{false};     // the thread has exchange and communicator
  std::atomic<bool> has_orders_{false};  // something below or in queue_ is new
  bool is_wanted_back_ = false, ends_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last: all else is there when it starts
};

}  // namespace chorale
