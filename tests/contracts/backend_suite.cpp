#include "backend_suite.hpp"

#include <cstring>
#include <numeric>
#include <thread>

#include "backend_values.hpp"

namespace chorale::contract {
namespace {

void expect(bool holds, const std::string& what) {
  if (!holds) throw Broken(what);
}

/// 0, 1, odd, around a multiple of the ranks, beyond one staging area.
std::vector<std::int64_t> sizes(const Communicator& comm) {
  const std::int64_t n = 64 * comm.size();
  return {0, 1, 3, n - 1, n, n + 1, 10007};
}

template <class T>
void all_reduce_of(Communicator& comm, Reduce op, std::int64_t n) {
  auto mine = values<T>(comm.rank(), n);
  comm.all_reduce(buffer(mine), op, "sum").wait();
  for (std::int64_t i = 0; i < n; i += (n > 10000 ? 97 : 1))
    expect(mine[static_cast<std::size_t>(i)] == Element<T>::back(reduced<T>(0, comm.size(), i, op)),
           "all_reduce of " + std::string(name(Element<T>::dtype)) + " differs from the tree at " + std::to_string(i) + " of " +
               std::to_string(n));
}

template <class T>
void every_reduction(Communicator& comm) {
  for (std::int64_t n : sizes(comm)) {
    if (n > 10000) {
      all_reduce_of<T>(comm, Reduce::sum, n);
      continue;
    }
    for (Reduce op : {Reduce::sum, Reduce::max, Reduce::min}) all_reduce_of<T>(comm, op, n);
    if constexpr (std::is_integral_v<T>)
      for (Reduce op : {Reduce::bit_and, Reduce::bit_or}) all_reduce_of<T>(comm, op, n);
  }
}

/// Uneven parts, one of them empty.
std::vector<std::int64_t> uneven(int size, std::int64_t scale) {
  std::vector<std::int64_t> counts;
  for (int r = 0; r < size; ++r) counts.push_back(size > 1 && r == 1 ? 0 : scale + 3 * r);
  return counts;
}

template <class T>
void reduce_scatter_of(Communicator& comm, std::int64_t scale) {
  const auto counts = uneven(comm.size(), scale);
  auto input = values<T>(comm.rank(), std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  std::vector<T> output(static_cast<std::size_t>(counts[static_cast<std::size_t>(comm.rank())]));
  comm.reduce_scatter(buffer(input), buffer(output), counts, Reduce::sum, "scatter").wait();
  const std::int64_t first = std::accumulate(counts.begin(), counts.begin() + comm.rank(), std::int64_t{0});
  for (std::size_t i = 0; i < output.size(); ++i)
    expect(output[i] == Element<T>::back(reduced<T>(0, comm.size(), first + static_cast<std::int64_t>(i), Reduce::sum)),
           "reduce_scatter differs at " + std::to_string(i));
}

template <class T>
void all_gather_of(Communicator& comm, const std::vector<std::int64_t>& counts) {
  auto input = values<T>(comm.rank(), counts[static_cast<std::size_t>(comm.rank())]);
  std::vector<T> output(static_cast<std::size_t>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0})));
  comm.all_gather(buffer(input), buffer(output), counts, "gather").wait();
  std::size_t at = 0;
  for (int r = 0; r < comm.size(); ++r)
    for (std::int64_t i = 0; i < counts[static_cast<std::size_t>(r)]; ++i, ++at)
      expect(output[at] == value<T>(r, i), "all_gather differs at element " + std::to_string(i) + " of rank " + std::to_string(r));
}

template <class T>
void gathers(Communicator& comm) {
  for (std::int64_t n : sizes(comm)) all_gather_of<T>(comm, std::vector<std::int64_t>(static_cast<std::size_t>(comm.size()), n));
  all_gather_of<T>(comm, uneven(comm.size(), 5000));
}

void all_to_all_of(Communicator& comm, std::int64_t scale) {
  const int n = comm.size(), me = comm.rank();
  auto count = [&](int from, int to) { return (from + 2 * to) % 3 == 0 ? 0 : scale * (1 + (from * n + to) % 4); };
  std::vector<std::int64_t> send, receive;
  std::vector<std::int32_t> input, output;
  for (int r = 0; r < n; ++r) {
    send.push_back(count(me, r));
    receive.push_back(count(r, me));
    for (std::int64_t i = 0; i < send.back(); ++i) input.push_back(static_cast<std::int32_t>((me * n + r) * 1000 + i % 997));
  }
  output.resize(static_cast<std::size_t>(std::accumulate(receive.begin(), receive.end(), std::int64_t{0})));
  comm.all_to_all(buffer(input), send, buffer(output), receive, "exchange").wait();
  std::size_t at = 0;
  for (int r = 0; r < n; ++r)
    for (std::int64_t i = 0; i < receive[static_cast<std::size_t>(r)]; ++i, ++at)
      expect(output[at] == (r * n + me) * 1000 + i % 997,
             "all_to_all: wrong element " + std::to_string(i) + " from rank " + std::to_string(r));
}

template <class T>
void broadcast_of(Communicator& comm, std::int64_t n) {
  for (int root = 0; root < comm.size(); ++root) {
    auto data = values<T>(comm.rank() == root ? root : comm.rank() + 100, n);
    comm.broadcast(buffer(data), root, "spread").wait();
    expect(data == values<T>(root, n), "broadcast from " + std::to_string(root) + " of " + std::to_string(n) + " elements");
  }
}

template <class T>
void ring_messages(Communicator& comm, std::int64_t n) {
  const int next = (comm.rank() + 1) % comm.size(), before = (comm.rank() + comm.size() - 1) % comm.size();
  auto out = values<T>(comm.rank(), n);
  std::vector<T> in(static_cast<std::size_t>(n));
  Work sending = comm.send(buffer(out), next, "round");  // more than any buffer holds: both ends must move at once
  comm.recv(buffer(in), before, "round").wait();
  sending.wait();
  expect(in == values<T>(before, n), "send and recv of " + std::to_string(n) + " elements");
}

void several_under_way(Communicator& comm) {
  auto a = values<float>(comm.rank(), 5000), b = values<float>(comm.rank(), 70000);
  Work first = comm.all_reduce(buffer(a), Reduce::sum, "first");
  Work second = comm.all_reduce(buffer(b), Reduce::sum, "second");
  Work third = comm.barrier("third");
  third.wait();
  expect(first.done() && second.done(), "a collective is done when a later one is");
  first.wait();
  second.wait();
  expect(a[4999] == reduced<float>(0, comm.size(), 4999, Reduce::sum) && b[69999] == reduced<float>(0, comm.size(), 69999, Reduce::sum),
         "collectives under way together give their sums");
}

void polled(Communicator& comm) {
  auto data = values<float>(comm.rank(), 300000);
  Work work = comm.all_reduce(buffer(data), Reduce::sum, "polled");
  while (!work.done()) std::this_thread::yield();
  work.wait();
  expect(data[299999] == reduced<float>(0, comm.size(), 299999, Reduce::sum), "done() alone brings a collective to its end");
}

void allocation(Communicator& comm) {
  Communicator& node = comm.node();
  const std::int64_t n = 1000 + 10 * node.rank();
  SharedMemory shared = comm.allocate(n, DType::f32);
  expect(shared.mine.elements == n && shared.peers.size() == static_cast<std::size_t>(node.size()),
         "allocate gives every peer of the node");
  expect(reinterpret_cast<std::uintptr_t>(shared.mine.data) % 64 == 0, "allocated memory is aligned to 64 bytes");
  for (float x : shared.mine.span<float>()) expect(x == 0.0f, "allocated memory is zeroed");
  node.barrier("looked").wait();
  for (float& x : shared.mine.span<float>()) x = static_cast<float>(node.rank() + 1);
  node.barrier("written").wait();
  for (int peer = 0; peer < node.size(); ++peer) {
    const Buffer theirs = shared.peers[static_cast<std::size_t>(peer)];
    expect(theirs.elements == 1000 + 10 * peer, "peers of an allocation have their own sizes");
    for (float x : theirs.span<float>())
      expect(x == static_cast<float>(peer + 1), "a peer's memory shows what it wrote before the barrier");
  }
  node.barrier("read").wait();
}

void reduction_in_place(Communicator& comm) {
  constexpr std::int64_t n = 40000;
  SharedMemory shared = comm.allocate(n, DType::f32);
  auto plain = values<float>(comm.rank(), n);
  std::memcpy(shared.mine.data, plain.data(), n * sizeof(float));
  comm.all_reduce(shared.mine, Reduce::sum, "shared").wait();
  comm.all_reduce(buffer(plain), Reduce::sum, "plain").wait();
  expect(std::memcmp(shared.mine.data, plain.data(), n * sizeof(float)) == 0, "sums in shared and in own memory have equal bits");
  comm.barrier("compared").wait();
}

void barriers(Communicator& comm) {
  SharedMemory shared = comm.allocate(1, DType::i64);
  for (std::int64_t round = 1; round <= 300; ++round) {
    *shared.mine.as<std::int64_t>() = round;
    comm.barrier("round").wait();
    for (const Buffer& peer : shared.peers) expect(*peer.as<std::int64_t>() == round, "after a barrier every peer's write is seen");
    comm.barrier("seen").wait();
  }
}

void splits(Communicator& comm) {
  const int n = comm.size(), me = comm.rank();
  auto half = comm.split(me % 2, me);
  expect(half->size() == (n + 1 - me % 2) / 2 && half->rank() == me / 2, "split by parity keeps the order");
  auto data = values<float>(half->rank(), 30000);
  half->all_reduce(buffer(data), Reduce::sum, "half").wait();
  expect(data[29999] == reduced<float>(0, half->size(), 29999, Reduce::sum), "a split communicator sums over its own ranks");
  auto back = comm.split(0, -me);
  expect(back->size() == n && back->rank() == n - 1 - me, "split orders by key");
  std::int32_t from = me;
  back->broadcast(buffer_of(std::span(&from, 1)), 0, "reverse").wait();
  expect(from == n - 1, "rank 0 of the reversed communicator is the last");
  auto quarter = half->split(half->rank() / 2, 0);
  ring_messages<std::int32_t>(*quarter, 100);
  comm.barrier("ends").wait();
}

void byte_helpers(Communicator& comm) {
  const std::vector<std::byte> mine(static_cast<std::size_t>(comm.rank()) * 3, static_cast<std::byte>(comm.rank()));
  const auto all = all_gather_bytes(comm, mine, "bytes");
  for (int r = 0; r < comm.size(); ++r)
    expect(all[static_cast<std::size_t>(r)] == std::vector<std::byte>(static_cast<std::size_t>(r) * 3, static_cast<std::byte>(r)),
           "all_gather_bytes");
  const int root = comm.size() - 1;
  const auto got = broadcast_bytes(comm, mine, root, "bytes");
  expect(got == std::vector<std::byte>(static_cast<std::size_t>(root) * 3, static_cast<std::byte>(root)), "broadcast_bytes");
}

void layout(Communicator& comm) {
  Communicator& node = comm.node();
  std::int32_t places[2] = {comm.node_index(), node.rank()};
  std::vector<std::int32_t> all(2 * static_cast<std::size_t>(comm.size()));
  comm.all_gather(buffer_of(std::span<std::int32_t>(places)), buffer(all),
                  std::vector<std::int64_t>(static_cast<std::size_t>(comm.size()), 2), "layout")
      .wait();
  for (std::size_t r = 2; r < all.size(); r += 2)
    expect(all[r] > all[r - 2] || (all[r] == all[r - 2] && all[r + 1] == all[r - 1] + 1), "ranks are ordered by node, then local rank");
  expect(node.node_count() == 1 && all[all.size() - 2] + 1 == comm.node_count(), "nodes are counted");
}

}  // namespace

std::vector<Check> working_checks() {
  auto both = [](Communicator& comm) { reduce_scatter_of<float>(comm, 20), reduce_scatter_of<float>(comm, 20000); };
  return {
      {"ranks are ordered by node and local rank", layout},
      {"all_reduce of f32 follows the tree", every_reduction<float>},
      {"all_reduce of f64 follows the tree", every_reduction<double>},
      {"all_reduce of bf16 is summed in f32", every_reduction<Bf16>},
      {"all_reduce of i32", every_reduction<std::int32_t>},
      {"all_reduce of i64", every_reduction<std::int64_t>},
      {"all_reduce of u8", every_reduction<std::uint8_t>},
      {"all_reduce of a million f32", [](Communicator& comm) { all_reduce_of<float>(comm, Reduce::sum, 1 << 20); }},
      {"reduce_scatter of uneven parts", both},
      {"reduce_scatter of other types",
       [](Communicator& comm) {
         reduce_scatter_of<double>(comm, 3000), reduce_scatter_of<Bf16>(comm, 9000), reduce_scatter_of<std::int64_t>(comm, 0);
         reduce_scatter_of<std::int32_t>(comm, 1), reduce_scatter_of<std::uint8_t>(comm, 7);
       }},
      {"all_gather of every type and size",
       [](Communicator& comm) {
         gathers<float>(comm), gathers<double>(comm), gathers<Bf16>(comm);
         gathers<std::int32_t>(comm), gathers<std::int64_t>(comm), gathers<std::uint8_t>(comm);
       }},
      {"all_gather of a million f32",
       [](Communicator& comm) {
         all_gather_of<float>(comm, std::vector<std::int64_t>(static_cast<std::size_t>(comm.size()), (1 << 20) / comm.size()));
       }},
      {"all_to_all with empty parts",
       [](Communicator& comm) { all_to_all_of(comm, 0), all_to_all_of(comm, 1), all_to_all_of(comm, 40000); }},
      {"broadcast from every root",
       [](Communicator& comm) {
         for (std::int64_t n : sizes(comm)) broadcast_of<float>(comm, n);
         broadcast_of<Bf16>(comm, 300000), broadcast_of<std::uint8_t>(comm, 1), broadcast_of<double>(comm, 77);
       }},
      {"messages go round",
       [](Communicator& comm) { ring_messages<float>(comm, 0), ring_messages<double>(comm, 3), ring_messages<float>(comm, 60000); }},
      {"several collectives under way end in order", several_under_way},
      {"done() advances without blocking", polled},
      {"allocated memory is zeroed, aligned and seen by peers", allocation},
      {"sums in shared memory have the same bits", reduction_in_place},
      {"a barrier orders memory", barriers},
      {"split makes communicators that work", splits},
      {"bytes of any length travel", byte_helpers},
  };
}

}  // namespace chorale::contract
