#include <chorale/train/bucket_plan.hpp>

#include <algorithm>

#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kMostBuckets = 64;

/// The fastest of a few exchanges of `bytes` with the neighbour, there and back, in ms. first: this rank speaks first.
double round_trip_ms(Communicator& comm, int neighbour, bool first, std::int64_t bytes, int times) {
  std::vector<std::uint8_t> data(static_cast<std::size_t>(bytes));
  const Buffer buffer = buffer_of(std::span(data));
  double best = 1e30;
  for (int i = 0; i < times; ++i) {
    Stopwatch watch;
    if (first) comm.send(buffer, neighbour, "link").wait();
    comm.recv(buffer, neighbour, "link").wait();
    if (!first) comm.send(buffer, neighbour, "link").wait();
    best = std::min(best, watch.lap());
  }
  return best;
}

std::string size_text(std::int64_t bytes) {
  return bytes >= 1 << 20 && bytes % (1 << 20) == 0 ? std::to_string(bytes >> 20) + " MiB" : std::to_string((bytes + 1023) >> 10) + " KiB";
}

}  // namespace

LinkSpeed measure_link(Communicator& comm) {
  constexpr std::int64_t kSmall = 8, kLarge = 1 << 18;
  std::vector<double> times = {0, 0};  // small, large
  for (int a = 0, b = 1; b < comm.size(); ++b) {
    if (comm.node_of(b) == comm.node_of(a)) continue;
    if (comm.rank() == a || comm.rank() == b) {
      const bool first = comm.rank() == a;
      times[0] = std::max(times[0], round_trip_ms(comm, first ? b : a, first, kSmall, 8));
      times[1] = std::max(times[1], round_trip_ms(comm, first ? b : a, first, kLarge, 3));
    }
    a = b;  // the first ranks of neighbouring nodes
  }
  comm.all_reduce(buffer_of(std::span(times)), Reduce::max, "link").wait();
  const double large_ms = std::max(1e-6, times[1] - times[0]);
  return {.latency_ms = times[0] / 2, .bytes_per_ms = 2.0 * static_cast<double>(kLarge) / large_ms};
}

std::int64_t best_bucket_count(double bytes, double backward_ms, const LinkSpeed& link) {
  const double transfer_ms = bytes / link.bytes_per_ms;
  std::int64_t best = 1;
  double least = 1e300;
  for (std::int64_t n = 1; n <= kMostBuckets; ++n) {
    const double last = transfer_ms / static_cast<double>(n), covered = backward_ms * static_cast<double>(n - 1) / static_cast<double>(n);
    const double uncovered_ms = std::max(last, transfer_ms - covered) + 2 * link.latency_ms * static_cast<double>(n);
    if (uncovered_ms < least) least = uncovered_ms, best = n;
  }
  return best;
}

std::vector<Bucket> agree_on_buckets(Communicator& comm, const FlatParams& params, double backward_ms, const LinkSpeed& link) {
  const std::int64_t bytes = params.trainable_elements() * static_cast<std::int64_t>(size_bytes(params.dtype()));
  std::int64_t bucket_bytes = std::max<std::int64_t>(bytes, 1);
  if (comm.node_count() > 1) {
    // Half of a bucket goes out and half of it comes back in each direction where two nodes share it; more nodes come close to all of it.
    const std::int64_t count = best_bucket_count(static_cast<double>(bytes), backward_ms, link);
    const std::int64_t blocks = (params.blocks() + count - 1) / count;
    bucket_bytes = std::max<std::int64_t>(1, blocks) * kBlockElements * static_cast<std::int64_t>(size_bytes(params.dtype()));
    comm.broadcast(buffer_of(std::span(&bucket_bytes, 1)), 0, "bucket plan").wait();
  } else {
    bucket_bytes += kBlockElements * static_cast<std::int64_t>(size_bytes(params.dtype()));
  }
  return plan_buckets(params, bucket_bytes);
}

std::string buckets_text(const std::vector<Bucket>& buckets, DType dtype) {
  const auto bytes = [&](const Bucket& b) { return b.count * static_cast<std::int64_t>(size_bytes(dtype)); };
  std::string text = "buckets: " + std::to_string(buckets.size());
  if (buckets.empty()) return text;
  text += ", first " + size_text(bytes(buckets.front()));
  return buckets.size() > 1 ? text + ", last " + size_text(bytes(buckets.back())) : text;
}

}  // namespace chorale
