// How many buckets the gradient is cut into: from the latency and bandwidth of this link and the time of this backward pass, never from a
// constant. Rank 0's plan is everybody's.
#pragma once
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/train/exchange/exchange.hpp>

namespace chorale {

/// Between two nodes, the slowest pair of neighbours.
struct LinkSpeed {
  double latency_ms = 0, bytes_per_ms = 1;
  int ends[2] = {0, 0};  // first ranks of the two nodes where a byte takes longest; equal: there is one node
};

/// The fastest there and back of a small and of a large message.
struct RoundTrips {
  double small_ms = 0, large_ms = 0;
  std::int64_t large_bytes = 0;
  /// The bytes took at least as long as the way: what remains after taking off the small one is theirs, not noise.
  bool is_clear() const { return large_ms >= 2 * small_ms; }
};

/// Where the times are not clear (a machine under load) at least half of the large message's is taken to be its bytes': never an
/// infinitely fast link.
LinkSpeed speed_of(const RoundTrips& times);

/// Small and large messages, larger ones while the difference is not clear, between the first ranks of neighbouring nodes. Collective;
/// equal on all ranks.
LinkSpeed measure_link(Communicator& comm);

/// Buckets that leave the least time uncovered: each costs two messages' latency, the last cannot overlap with backward.
std::int64_t best_bucket_count(double bytes, double backward_ms, const LinkSpeed& link);

/// The plan of rank 0. backward_ms: measured on rank 0. One node: one bucket. Collective.
std::vector<Bucket> agree_on_buckets(Communicator& comm, const FlatParams& params, double backward_ms, const LinkSpeed& link);

/// "buckets: 7, first 64 KiB, others 512 KiB".
std::string buckets_text(const std::vector<Bucket>& buckets, DType dtype);

}  // namespace chorale
