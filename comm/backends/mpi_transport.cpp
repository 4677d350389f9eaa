#include <chorale/comm/backends/mpi_transport.hpp>

#include <algorithm>
#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 28;  // counts are int, and some layers below still multiply them
constexpr std::size_t kEagerBytes = 500 * 1024;           // goes without a question to the receiver (prefer_eager_messages)

/// Parts of a message: eager ones, but not so many that testing them takes long.
std::size_t chunk_bytes(std::size_t bytes) {
  constexpr std::size_t kParts = 64;
  return std::min(kMostBytes, std::max(kEagerBytes, (bytes + kParts - 1) / kParts));
}

/// The parts of one message. After a failure requests are left alone: MPI is not called again.
class MpiTransfer final : public Transfer {
 public:
  explicit MpiTransfer(BlockPool& pool) : requests_(PoolAllocator<MPI_Request>(pool)) {}
  void add(MPI_Request request) { requests_.push_back(request); }
  bool test() override {
    if (requests_.empty()) return true;
    int done = 0;
    check_mpi(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE), "MPI_Testall");
    if (done != 0) requests_.clear();
    return done != 0;
  }

 private:
  PoolVector<MPI_Request> requests_;
};

template <class Post>
std::unique_ptr<Transfer> in_chunks(BlockPool& pool, std::size_t bytes, Post post) {
  std::unique_ptr<MpiTransfer> transfer(new (pool) MpiTransfer(pool));
  const std::size_t chunk = chunk_bytes(bytes);
  std::size_t at = 0;
  do {  // an empty message is a message
    const std::size_t count = std::min(chunk, bytes - at);
    MPI_Request request = MPI_REQUEST_NULL;
    post(at, static_cast<int>(count), &request);
    transfer->add(request);
    at += count;
  } while (at < bytes);
  return transfer;
}

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw CommError(-1, call, 0, std::string("[mpi] ") + call + ": " + text);
}

std::unique_ptr<Transfer> MpiTransport::send(int to, int tag, std::span<const std::byte> bytes) {
  return in_chunks(*pool_, bytes.size(), [&](std::size_t at, int count, MPI_Request* request) {
    check_mpi(MPI_Isend(bytes.data() + at, count, MPI_BYTE, mpi_ranks_[static_cast<std::size_t>(to)], tag, comm_, request), "MPI_Isend");
  });
}

std::unique_ptr<Transfer> MpiTransport::receive(int from, int tag, std::span<std::byte> bytes) {
  return in_chunks(*pool_, bytes.size(), [&](std::size_t at, int count, MPI_Request* request) {
    check_mpi(MPI_Irecv(bytes.data() + at, count, MPI_BYTE, mpi_ranks_[static_cast<std::size_t>(from)], tag, comm_, request), "MPI_Irecv");
  });
}

void MpiTransport::nudge() {
  int any = 0;
  check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &any, MPI_STATUS_IGNORE), "MPI_Iprobe");
}

}  // namespace chorale
