// Messages between ranks of different nodes through non-blocking MPI calls on a communicator of our own.
// One thread at a time calls it (MPI_THREAD_SERIALIZED is enough).
#pragma once
#include <mpi.h>

#include <vector>

#include <chorale/comm/transport.hpp>

namespace chorale {

/// CommError with the call and MPI's own words when `code` is not MPI_SUCCESS.
void check_mpi(int code, const char* call);

class MpiTransport final : public Transport {
 public:
  /// mpi_ranks: by our rank, the rank in `comm`. The communicator stays the caller's.
  MpiTransport(MPI_Comm comm, std::vector<int> mpi_ranks) : comm_(comm), mpi_ranks_(std::move(mpi_ranks)) {}
  std::unique_ptr<Transfer> send(int to, int tag, std::span<const std::byte> bytes) override;
  std::unique_ptr<Transfer> receive(int from, int tag, std::span<std::byte> bytes) override;
  void nudge() override;

 private:
  MPI_Comm comm_;
  std::vector<int> mpi_ranks_;
  BlockPool::Owner pool_ = BlockPool::make();
};

}  // namespace chorale
