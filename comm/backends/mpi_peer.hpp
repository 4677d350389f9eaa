// MPI's own collectives beside ours, for benchmarks; without <mpi.h>. Their calls block with no deadline: they are what is measured.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// Ranks are those of the communicator it was made beside. Counts as in Communicator; sums only. One thread.
class MpiPeer {
 public:
  virtual ~MpiPeer() = default;
  virtual void all_reduce(Buffer data) = 0;
  virtual void reduce_scatter(Buffer input, Buffer output, std::span<const std::int64_t> counts) = 0;
  virtual void all_gather(Buffer input, Buffer output, std::span<const std::int64_t> counts) = 0;
  virtual void all_to_all(Buffer input, Buffer output, std::span<const std::int64_t> counts) = 0;
  virtual void broadcast(Buffer data, int root) = 0;
  virtual void send_recv(Buffer input, int to, Buffer output, int from) = 0;
  virtual void barrier() = 0;
};

/// Collective over all of MPI's ranks. Throws UsageError when MPI does not run in this process with as many ranks as `comm` has.
/// A type or a count that MPI 3.1 cannot take (sums of bf16, 2^31 elements) is a UsageError of the call.
std::unique_ptr<MpiPeer> make_mpi_peer(const Communicator& comm);

}  // namespace chorale
