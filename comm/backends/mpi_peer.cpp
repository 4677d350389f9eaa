#include <chorale/comm/backends/mpi_peer.hpp>

#include <mpi.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <chorale/comm/backends/mpi_transport.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

int count_of(std::int64_t elements) {
  if (elements > std::numeric_limits<int>::max())
    throw UsageError("[mpi peer] " + std::to_string(elements) + " elements: MPI 3.1 counts to 2^31 - 1; leave --peer out");
  return static_cast<int>(elements);
}

MPI_Datatype type_of(DType type, bool summed) {
  switch (type) {
    case DType::f32:
      return MPI_FLOAT;
    case DType::f64:
      return MPI_DOUBLE;
    case DType::i32:
      return MPI_INT32_T;
    case DType::i64:
      return MPI_INT64_T;
    case DType::u8:
      return MPI_UINT8_T;
    case DType::bf16:
    case DType::f16:
      break;
  }
  if (summed) throw UsageError("[mpi peer] MPI 3.1 sums no " + std::string(name(type)) + "; take f32, or leave --peer out");
  return MPI_UINT16_T;
}

/// Parts as MPI wants them. Equal parts take the calls without vectors, which MPI does better.
struct Parts {
  explicit Parts(std::span<const std::int64_t> elements) {
    int at = 0;
    for (std::int64_t each : elements) {
      counts.push_back(count_of(each)), offsets.push_back(at);
      at = count_of(static_cast<std::int64_t>(at) + each);
    }
    equal = std::all_of(counts.begin(), counts.end(), [&](int each) { return each == counts[0]; });
  }
  std::vector<int> counts, offsets;
  bool equal;
};

class WorldPeer final : public MpiPeer {
 public:
  explicit WorldPeer(MPI_Comm comm) : comm_(comm) { MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN); }
  void all_reduce(Buffer x) override {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, x.data, count_of(x.elements), type_of(x.dtype, true), MPI_SUM, comm_), "MPI_Allreduce");
  }
  void reduce_scatter(Buffer in, Buffer out, std::span<const std::int64_t> counts) override {
    const Parts parts(counts);
    const MPI_Datatype type = type_of(in.dtype, true);
    check_mpi(parts.equal ? MPI_Reduce_scatter_block(in.data, out.data, parts.counts[0], type, MPI_SUM, comm_)
                          : MPI_Reduce_scatter(in.data, out.data, parts.counts.data(), type, MPI_SUM, comm_),
              "MPI_Reduce_scatter");
  }
  void all_gather(Buffer in, Buffer out, std::span<const std::int64_t> counts) override {
    const Parts parts(counts);
    const MPI_Datatype type = type_of(in.dtype, false);
    const int mine = count_of(in.elements);
    check_mpi(parts.equal ? MPI_Allgather(in.data, mine, type, out.data, mine, type, comm_)
                          : MPI_Allgatherv(in.data, mine, type, out.data, parts.counts.data(), parts.offsets.data(), type, comm_),
              "MPI_Allgather");
  }
  void all_to_all(Buffer in, Buffer out, std::span<const std::int64_t> counts) override {
    const Parts parts(counts);
    const MPI_Datatype type = type_of(in.dtype, false);
    const int *c = parts.counts.data(), *at = parts.offsets.data();
    check_mpi(parts.equal ? MPI_Alltoall(in.data, c[0], type, out.data, c[0], type, comm_)
                          : MPI_Alltoallv(in.data, c, at, type, out.data, c, at, type, comm_),
              "MPI_Alltoall");
  }
  void broadcast(Buffer x, int root) override {
    check_mpi(MPI_Bcast(x.data, count_of(x.elements), type_of(x.dtype, false), root, comm_), "MPI_Bcast");
  }
  void send_recv(Buffer in, int to, Buffer out, int from) override {
    const MPI_Datatype type = type_of(in.dtype, false);
    check_mpi(MPI_Sendrecv(in.data, count_of(in.elements), type, to, 0, out.data, count_of(out.elements), type, from, 0, comm_,
                           MPI_STATUS_IGNORE),
              "MPI_Sendrecv");
  }
  void barrier() override { check_mpi(MPI_Barrier(comm_), "MPI_Barrier"); }

 private:
  MPI_Comm comm_;  // lasts until MPI_Finalize: freeing it would be a collective call, and destructors do not communicate
};

}  // namespace

std::unique_ptr<MpiPeer> make_mpi_peer(const Communicator& comm) {
  int runs = 0, size = 0;
  MPI_Initialized(&runs);
  if (runs != 0) MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size != comm.size())
    throw UsageError("--peer mpi: ranks are " + std::string(comm.backend()) + ", MPI does not run among them; start with --launch mpirun");
  MPI_Comm own = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(MPI_COMM_WORLD, 0, comm.rank(), &own), "MPI_Comm_split");
  return std::make_unique<WorldPeer>(own);
}

}  // namespace chorale
