// Bytes of unknown length between ranks: lengths first, then the bytes.
#include <chorale/comm/communicator.hpp>

namespace chorale {

std::vector<std::vector<std::byte>> all_gather_bytes(Communicator& comm, std::span<const std::byte> mine, Label label) {
  const auto n = static_cast<std::size_t>(comm.size());
  const std::int64_t length = static_cast<std::int64_t>(mine.size());
  std::vector<std::int64_t> lengths(n);
  const std::vector<std::int64_t> ones(n, 1);
  comm.all_gather(buffer_of(std::span(&length, 1)), buffer_of(std::span(lengths)), ones, label).wait();
  std::int64_t total = 0;
  for (std::int64_t each : lengths) total += each;
  std::vector<std::byte> all(static_cast<std::size_t>(total));
  const Buffer input{const_cast<std::byte*>(mine.data()), length, DType::u8, {}};
  comm.all_gather(input, {all.data(), total, DType::u8, {}}, lengths, label).wait();
  std::vector<std::vector<std::byte>> out;
  auto next = all.begin();
  for (std::int64_t each : lengths) {
    out.emplace_back(next, next + each);
    next += each;
  }
  return out;
}

std::vector<std::byte> broadcast_bytes(Communicator& comm, std::span<const std::byte> mine, int root, Label label) {
  std::int64_t length = static_cast<std::int64_t>(mine.size());
  comm.broadcast(buffer_of(std::span(&length, 1)), root, label).wait();
  std::vector<std::byte> out(static_cast<std::size_t>(length));
  if (comm.rank() == root) std::copy(mine.begin(), mine.end(), out.begin());
  comm.broadcast({out.data(), length, DType::u8, {}}, root, label).wait();
  return out;
}

}  // namespace chorale
