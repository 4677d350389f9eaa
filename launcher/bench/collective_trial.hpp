// One collective at one size on memory of one kind: what a benchmark fills, runs and checks. One thread of every rank.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/launcher/bench/test_pattern.hpp>

namespace chorale {

/// all_reduce, reduce_scatter, all_gather, all_to_all, broadcast, send_recv, barrier.
std::vector<std::string> collective_names();

/// The buffers and counts of one call, as a peer takes them too. In place: input and output are the same.
struct CollectiveCall {
  std::string op;
  Buffer input, output;
  std::vector<std::int64_t> counts;  // elements by rank, where the collective has parts
  int to = 0, from = 0;              // of send_recv: the next rank and the one before
};

class CollectiveTrial {
 public:
  struct Config {
    std::string op;
    DType dtype = DType::f32;
    std::int64_t bytes = 0;  // as nccl-tests counts: the largest buffer of a rank
    bool shared = false;     // memory that the communicator allocated
  };
  /// Collective, because allocating is.
  CollectiveTrial(Communicator& comm, const Config& config);

  /// Writes fresh input, as a backward pass would: also after a check.
  void fill();
  /// Is the output what it must be after fill() and one run? On this rank.
  bool matches() const;
  /// One call from launch to end.
  void run() const;
  const CollectiveCall& call() const { return call_; }
  /// The size that was asked for, rounded down to whole elements, of all_to_all to equal parts.
  std::int64_t bytes() const { return bytes_; }
  /// Bytes over the links for each byte of the size: nccl-tests' factor from algorithm to bus bandwidth.
  double bus_factor() const;

 private:
  Buffer allocate(std::int64_t elements);
  std::int64_t first_of_part(int rank) const;

  Communicator& comm_;
  Config config_;
  CollectiveCall call_;
  std::int64_t bytes_ = 0;
  TestPattern pattern_;  // of this rank's input
  std::vector<std::shared_ptr<void>> owners_;
};

}  // namespace chorale
