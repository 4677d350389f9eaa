// What a snapshot reads while owners overwrite: the bytes of its beginning, whoever comes first to a block.
#include <catch2/catch.hpp>

#include <atomic>
#include <cstring>
#include <thread>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/sampler.hpp>
#include <chorale/core/nn/flat_params.hpp>
#include <chorale/train/snapshot.hpp>

using namespace chorale;

namespace {

constexpr std::int64_t kElements = 300 * kBlockElements + 1234;  // 4.7 MiB: several shares and pieces
constexpr std::uint64_t kReadPiece = 4 << 20;

float value_at(std::int64_t round, std::int64_t i) { return static_cast<float>(round * 7 + i % 1000003); }

/// A rank's view: one live memory, cut into tensors of odd sizes with gaps, and constants beside.
struct View {
  Buffer memory;
  std::vector<float> constants = {1, 2, 3};
  SaveFiles files() const {
    std::vector<NamedTensor> tensors;
    std::int64_t first = 0;
    const std::int64_t counts[] = {5, 4096, 70001, 3, 500000, 8192};
    for (int i = 0; first < memory.elements; ++i) {
      const std::int64_t count = std::min(counts[i % 6], memory.elements - first);
      // Names that bring the tensors into another order than memory's.
      tensors.push_back({"t" + std::to_string(i * 37 % 101), memory.dtype, Shape{count}, memory.part(first, count).data});
      first += (count + 15) / 16 * 16;
    }
    SaveFiles out;
    out.push_back({"a", SafetensorsImage(std::move(tensors))});
    out.push_back({"b", SafetensorsImage({{"c", DType::f32, Shape{3}, constants.data()}})});
    return out;
  }
  std::vector<LiveMemory> live(bool is_private) const { return {{memory, is_private}}; }
  void fill(std::int64_t round, Share part) const {
    for (std::int64_t i = part.first; i < part.first + part.count; ++i) memory.as<float>()[i] = value_at(round, i);
  }
};

/// This rank's shares of all files.
std::vector<std::byte> read_share(Snapshot& snapshot, const SaveFiles& files, int rank, int ranks, const std::stop_token& stop = {}) {
  std::vector<std::byte> staging(kReadPiece), out;
  for (std::size_t f = 0; f < files.size(); ++f) {
    const ByteRange share = file_share(files[f].image.size(), rank, ranks);
    for (std::uint64_t first = share.first; first < share.last; first += kReadPiece) {
      const auto piece = snapshot.read(f, {first, std::min(first + kReadPiece, share.last)}, staging, stop);
      out.insert(out.end(), piece.begin(), piece.end());
    }
  }
  return out;
}

std::vector<std::byte> copy_of_share(const SaveFiles& files, int rank, int ranks) {
  std::vector<std::byte> out;
  for (const SaveFile& file : files) {
    const ByteRange share = file_share(file.image.size(), rank, ranks);
    const std::size_t at = out.size();
    out.resize(at + share.size());
    file.image.copy_range(share, out.data() + at);
  }
  return out;
}

template <class F>
void on_ranks(int ranks, F&& f) {
  auto comms = make_thread_communicators(ranks, 1);
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) threads.emplace_back([&, r] { f(r, *comms[static_cast<std::size_t>(r)]); });
  for (std::thread& thread : threads) thread.join();
}

Share owned(int rank, int ranks) {
  const Share blocks = share_of((kElements + kBlockElements - 1) / kBlockElements, rank, ranks);
  const std::int64_t first = blocks.first * kBlockElements;
  return {first, std::min(kElements, first + blocks.count * kBlockElements) - first};
}

/// Where the writer of a rank begins: before the update, beside it, or after it.
enum class Order { writer_first, together, update_first };

void overwrite_and_read(int ranks, bool is_private, Order order, std::int64_t rounds) {
  std::atomic<int> wrong{0};
  on_ranks(ranks, [&](int rank, Communicator& comm) {
    SharedMemory shared = comm.allocate(is_private || rank == 0 ? kElements : 0, DType::f32);
    const View view{is_private ? shared.mine : shared.peers[0]};
    const Share mine = is_private ? Share{0, kElements} : owned(rank, ranks);
    const SaveFiles files = view.files();
    Snapshot snapshot;
    const std::uint64_t bytes = snapshot.reserve(comm, files, view.live(is_private));
    if (bytes < files[0].image.size() / static_cast<std::uint64_t>(ranks)) ++wrong;
    for (std::int64_t round = 0; round < rounds; ++round) {
      view.fill(round, mine);
      comm.barrier("filled").wait();
      const std::vector<std::byte> expected = copy_of_share(files, rank, ranks);
      comm.barrier("expected").wait();
      if (!snapshot.begin(files, view.live(is_private))) ++wrong;
      std::vector<std::byte> found;
      const auto write = [&] { found = read_share(snapshot, files, rank, ranks); };
      if (order == Order::writer_first) write(), comm.barrier("all have read").wait();
      std::thread writer;
      if (order == Order::together) writer = std::thread(write);
      for (std::int64_t first = mine.first; first < mine.first + mine.count; first += kBlockElements) {
        const std::int64_t n = std::min(kBlockElements, mine.first + mine.count - first);
        snapshot.before_write(view.memory.part(first, n));
        view.fill(round + 100, {first, n});
      }
      if (order == Order::update_first) write();
      if (writer.joinable()) writer.join();
      if (found != expected) ++wrong;
      comm.barrier("round").wait();
      snapshot.end();
    }
  });
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("a snapshot reads the bytes of its beginning, whoever comes first to a block") {
  for (const int ranks : {1, 2, 3})
    for (const bool is_private : {false, true})
      for (const Order order : {Order::writer_first, Order::together, Order::update_first}) {
        CAPTURE(ranks, is_private, static_cast<int>(order));
        overwrite_and_read(ranks, is_private, order, order == Order::together ? 8 : 2);
      }
}

TEST_CASE("what settle() leaves needs no live memory any more") {
  const bool is_reading = GENERATE(false, true);
  CAPTURE(is_reading);
  std::atomic<int> wrong{0};
  on_ranks(2, [&](int rank, Communicator& comm) {
    SharedMemory shared = comm.allocate(rank == 0 ? kElements : 0, DType::f32);
    const View view{shared.peers[0]};
    const SaveFiles files = view.files();
    Snapshot snapshot;
    snapshot.reserve(comm, files, view.live(false));
    view.fill(1, owned(rank, 2));
    comm.barrier("filled").wait();
    const std::vector<std::byte> expected = copy_of_share(files, rank, 2);
    snapshot.begin(files, view.live(false));
    std::vector<std::byte> found;
    const auto write = [&] { found = read_share(snapshot, files, rank, 2); };
    std::thread writer;
    if (is_reading) writer = std::thread(write);
    snapshot.settle();
    view.fill(2, owned(rank, 2));  // without a word
    if (is_reading) writer.join();
    if (!is_reading) write();
    if (found != expected) ++wrong;
    comm.barrier("round").wait();
  });
  CHECK(wrong == 0);
}

TEST_CASE("files that need more than was reserved are not guarded, on any rank") {
  std::atomic<int> refused{0};
  on_ranks(2, [&](int rank, Communicator& comm) {
    SharedMemory shared = comm.allocate(rank == 0 ? kElements : 0, DType::f32);
    const View large{shared.peers[0]}, small{shared.peers[0].part(0, 3 * kBlockElements)};
    Snapshot snapshot;
    if (!snapshot.begin(small.files(), small.live(false))) ++refused;  // nothing is reserved yet
    snapshot.reserve(comm, small.files(), small.live(false));
    const SaveFiles files = large.files();
    if (!snapshot.begin(files, large.live(false))) ++refused;
    snapshot.before_write(large.memory);  // and nobody waits or copies
    if (!snapshot.is_active()) ++refused;
  });
  CHECK(refused == 6);
}

namespace {

/// Every bucket is cut over all ranks, as `sharded` cuts it; borders are those of blocks.
std::vector<Held> cut_over(int ranks) {
  std::vector<Held> out;
  std::int64_t at = 0;
  for (const std::int64_t blocks : {40, 3, 130, 128}) {
    const std::int64_t first = at, last = std::min(kElements, at + blocks * kBlockElements);
    for (int rank = 0; rank < ranks; ++rank) {
      const std::int64_t end = rank + 1 == ranks ? last : std::min(last, first + blocks * (rank + 1) / ranks * kBlockElements);
      if (end > at) out.push_back({at, end - at, rank});
      at = std::max(at, end);
    }
  }
  return out;
}

/// Saves memory of which each node has its ranks' parts and nonsense elsewhere, while owners overwrite theirs; what ranks have read goes
/// into `whole`, a byte that two of them have read is counted twice.
void save_in_parts(Communicator& comm, std::vector<std::vector<std::byte>>& whole, std::vector<std::vector<std::atomic<int>>>& seen,
                   std::atomic<int>& wrong) {
  const std::vector<Held> held = cut_over(comm.size());
  SharedMemory memory = comm.node().allocate(comm.node().rank() == 0 ? kElements : 0, DType::f32);
  const View view{memory.peers[0]};
  const auto fill = [&](std::int64_t round) {
    for (const Held& part : held)
      if (part.rank == comm.rank()) view.fill(round, {part.first, part.count});
  };
  if (comm.node().rank() == 0) std::fill_n(view.memory.as<float>(), kElements, -99.0f);
  comm.barrier("nonsense").wait();
  fill(7);
  comm.barrier("filled").wait();
  const SaveFiles files = view.files();
  const std::vector<LiveMemory> live = {{view.memory, false, held}};
  Snapshot snapshot;
  wrong += snapshot.reserve(comm, files, live) == 0;
  const std::uint64_t before = comm.bytes_sent();
  wrong += !snapshot.begin(files, live);
  wrong += comm.bytes_sent() - before > 40 * 2 * 4096;  // of 4.7 MiB: pages at borders between nodes, not the memory
  comm.barrier("begun").wait();
  for (const Held& part : held)
    if (part.rank == comm.rank() && part.first / kBlockElements % 2 == 0) snapshot.before_write(view.memory.part(part.first, part.count));
  for (const Held& part : held)
    if (part.rank == comm.rank() && part.first / kBlockElements % 2 == 0) view.fill(8, {part.first, part.count});
  std::vector<std::byte> staging(kReadPiece);
  for (std::size_t f = 0; f < files.size(); ++f)
    for (const ByteRange& range : snapshot.slices(f))
      for (std::uint64_t first = range.first; first < range.last; first += kReadPiece) {
        const auto piece = snapshot.read(f, {first, std::min(first + kReadPiece, range.last)}, staging, {});
        std::copy(piece.begin(), piece.end(), whole[f].begin() + static_cast<std::ptrdiff_t>(first));
        for (std::size_t i = 0; i < piece.size(); ++i) ++seen[f][first + i];
      }
  comm.barrier("read").wait();
  snapshot.end();
}

}  // namespace

TEST_CASE("memory that lies in parts on several nodes is written by its owners, whatever lies in its place elsewhere") {
  std::vector<float> all(static_cast<std::size_t>(kElements));
  View truth{buffer_of(std::span(all))};
  truth.fill(7, {0, kElements});
  const SaveFiles files = truth.files();
  for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{2, 2}, {3, 3}, {4, 2}, {5, 2}}) {
    CAPTURE(ranks, nodes);
    std::vector<std::vector<std::byte>> whole;
    std::vector<std::vector<std::atomic<int>>> seen;
    for (const SaveFile& file : files) whole.emplace_back(file.image.size()), seen.emplace_back(file.image.size());
    auto comms = make_thread_communicators(ranks, nodes);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (auto& comm : comms) threads.emplace_back([&, c = comm.get()] { save_in_parts(*c, whole, seen, wrong); });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    for (std::size_t f = 0; f < files.size(); ++f) {
      std::vector<std::byte> expected(files[f].image.size());
      files[f].image.copy_range({0, expected.size()}, expected.data());
      CHECK(whole[f] == expected);
      CHECK(std::all_of(seen[f].begin(), seen[f].end(), [](const std::atomic<int>& times) { return times == 1; }));
    }
  }
}
