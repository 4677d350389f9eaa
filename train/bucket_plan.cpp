#include <chorale/train/bucket_plan.hpp>

#include <algorithm>

#include <chorale/train/exchange/stopwatch.hpp>

namespace chorale {

namespace {

constexpr std::int64_t kMostBuckets = 64;

constexpr std::int64_t kSmallBytes = 8, kFirstBytes = 1 << 18, kMostBytes = 1 << 24;
constexpr int kPairs = 6;            // of a small and a large message, alternately: load comes and goes
constexpr double kMostMs = 200;      // then the answer is what it is
constexpr double kTooSlowMs = 1000;  // then it is with fewer pairs: at a megabit a large message takes seconds

/// `bytes` to the neighbour and back, in ms. first: this rank speaks first.
double round_trip_ms(Communicator& comm, int neighbour, bool first, std::vector<std::uint8_t>& data) {
  const Buffer buffer = buffer_of(std::span(data));
  Stopwatch watch;
  if (first) comm.send(buffer, neighbour, "link").wait();
  comm.recv(buffer, neighbour, "link").wait();
  if (!first) comm.send(buffer, neighbour, "link").wait();
  return watch.lap();
}

/// Both ranks call it; the one that speaks first says how it goes on.
LinkSpeed measure_pair(Communicator& comm, int neighbour, bool first) {
  enum : std::uint8_t { kEnough, kAnother, kLarger };
  RoundTrips best{.small_ms = 1e30, .large_ms = 1e30, .large_bytes = kFirstBytes};
  double spent_ms = 0;
  std::vector<std::uint8_t> small(kSmallBytes), large(static_cast<std::size_t>(kFirstBytes)), next = {kAnother};
  for (int pairs = 1; next[0] != kEnough; ++pairs) {
    const double small_ms = round_trip_ms(comm, neighbour, first, small), large_ms = round_trip_ms(comm, neighbour, first, large);
    best.small_ms = std::min(best.small_ms, small_ms), best.large_ms = std::min(best.large_ms, large_ms);
    spent_ms += small_ms + large_ms;
    const bool grows = !best.is_clear() && spent_ms < kMostMs && best.large_bytes < kMostBytes;
    next[0] = pairs < kPairs && spent_ms < kTooSlowMs ? kAnother : grows ? kLarger : kEnough;
    (first ? comm.send(buffer_of(std::span(next)), neighbour, "link") : comm.recv(buffer_of(std::span(next)), neighbour, "link")).wait();
    if (next[0] != kLarger) continue;
    pairs = 0;
    best.large_bytes *= 4, best.large_ms = 1e30;
    large.resize(static_cast<std::size_t>(best.large_bytes));
  }
  return speed_of(best);
}

std::string size_text(std::int64_t bytes) {
  return bytes >= 1 << 20 && bytes % (1 << 20) == 0 ? std::to_string(bytes >> 20) + " MiB" : std::to_string((bytes + 1023) >> 10) + " KiB";
}

}  // namespace

LinkSpeed speed_of(const RoundTrips& t) {
  const double large_ms = std::max({1e-6, t.large_ms - t.small_ms, t.large_ms / 2});
  return {.latency_ms = t.small_ms / 2, .bytes_per_ms = 2.0 * static_cast<double>(t.large_bytes) / large_ms};
}

LinkSpeed measure_link(Communicator& comm) {
  std::vector<int> leaders;  // first ranks of nodes
  for (int r = 0; r < comm.size(); ++r)
    if (r == 0 || comm.node_of(r) != comm.node_of(r - 1)) leaders.push_back(r);
  std::vector<double> slowest = {0, 0};  // latency, time of a byte
  std::vector<std::int32_t> ends = {0, 0};
  for (const std::size_t parity : {0u, 1u})  // pairs without a node in common measure at the same time
    for (std::size_t i = parity; i + 1 < leaders.size(); i += 2) {
      const int a = leaders[i], b = leaders[i + 1];
      if (comm.rank() != a && comm.rank() != b) continue;
      const LinkSpeed speed = measure_pair(comm, comm.rank() == a ? b : a, comm.rank() == a);
      if (1 / speed.bytes_per_ms > slowest[1]) ends = {a, b};
      slowest = {std::max(slowest[0], speed.latency_ms), std::max(slowest[1], 1 / speed.bytes_per_ms)};
    }
  const double own = slowest[1];
  comm.all_reduce(buffer_of(std::span(slowest)), Reduce::max, "link").wait();
  if (own < slowest[1]) ends = {0, 0};  // another rank has measured a slower one
  comm.all_reduce(buffer_of(std::span(ends)), Reduce::max, "link").wait();
  return {.latency_ms = slowest[0], .bytes_per_ms = 1 / slowest[1], .ends = {ends[0], ends[1]}};
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
