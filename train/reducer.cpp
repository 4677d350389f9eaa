#include <chorale/train/reducer.hpp>

#include <algorithm>

namespace chorale {

Reducer::Reducer(const FlatParams& params, std::vector<Bucket> buckets) : buckets_(std::move(buckets)), waiting_for_(buckets_.size(), 0) {
  for (const FlatParams::Entry& e : params.entries()) {
    std::vector<int>& touched = touched_.emplace_back();
    if (e.parameter->segment() != Segment::trainable) continue;
    for (const Bucket& b : buckets_) {
      if (e.first >= b.first + b.count || e.first + e.count <= b.first) continue;
      touched.push_back(b.index);
      ++waiting_for_[static_cast<std::size_t>(b.index)];
    }
  }
}

void Reducer::begin(BucketSink& sink) {
  missing_ = waiting_for_;
  next_ = 0;
  sink_ = &sink;
}

void Reducer::ready(std::size_t entry) {
  if (!sink_) return;
  for (const int b : touched_[entry]) --missing_[static_cast<std::size_t>(b)];
  launch();
  sink_->advance();  // a bucket that the node's ranks have only now does not wait until the next one is ready
}

void Reducer::launch() {
  while (next_ < buckets_.size() && missing_[next_] <= 0) sink_->bucket_ready(buckets_[next_++]);
}

void Reducer::finish(BucketSink& sink) {
  if (!sink_) begin(sink);
  sink_ = &sink;
  std::fill(missing_.begin(), missing_.end(), 0);
  launch();
  sink_ = nullptr;
}

}  // namespace chorale
