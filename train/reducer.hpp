// Turns gradients that become ready in any order into buckets that leave in index order.
#pragma once
#include <cstdint>
#include <vector>

#include <chorale/train/exchange/exchange.hpp>

namespace chorale {

/// One thread. A bucket is ready when every parameter that touches it is.
class Reducer {
 public:
  Reducer(const FlatParams& params, std::vector<Bucket> buckets);
  /// Starts a step. Readiness counts only in the last backward pass of the step: until then the gradient will change.
  void begin(BucketSink& sink);
  /// The gradient of entry i of the arena is complete.
  void ready(std::size_t entry);
  /// Everything is complete: sends what has not left yet.
  void finish(BucketSink& sink);

 private:
  void launch();
  std::vector<Bucket> buckets_;
  std::vector<std::vector<int>> touched_;   // buckets by entry
  std::vector<int> waiting_for_, missing_;  // entries by bucket: all, and not ready yet
  std::size_t next_ = 0;
  BucketSink* sink_ = nullptr;
};

}  // namespace chorale
