// Collectives in steady state make no call to malloc. Every allocation of this program is counted, by thread.
#include <catch2/catch.hpp>

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <chorale/comm/communicator.hpp>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHORALE_OWN_MALLOC 0  // the sanitizer's malloc is not ours to replace: there the calls are only made
#else
#define CHORALE_OWN_MALLOC 1
#endif

namespace {
thread_local std::uint64_t allocations = 0;
}

#if CHORALE_OWN_MALLOC
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t bytes) { return ++allocations, __libc_malloc(bytes); }
void* calloc(std::size_t count, std::size_t bytes) { return ++allocations, __libc_calloc(count, bytes); }
void* realloc(void* memory, std::size_t bytes) { return ++allocations, __libc_realloc(memory, bytes); }
void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return ++allocations, __libc_memalign(alignment, bytes); }
}
#endif

namespace chorale {
namespace {

/// The buffers of one rank, made once.
struct Room {
  explicit Room(Communicator& comm, std::int64_t n)
      : part(n),
        ranks(static_cast<std::size_t>(comm.size())),
        counts(ranks, n),
        small(static_cast<std::size_t>(n)),
        all(static_cast<std::size_t>(n) * ranks),
        other(all.size()) {}
  Buffer one() { return buffer_of(std::span(small)); }
  Buffer everything() { return buffer_of(std::span(all)); }
  Buffer everything_else() { return buffer_of(std::span(other)); }
  std::int64_t part;
  std::size_t ranks;
  std::vector<std::int64_t> counts;
  std::vector<float> small, all, other;
};

struct Call {
  std::string verb;
  std::function<void(Communicator&, Room&)> run;
  bool several = false;  // operations under way at once: how many, depends on timing
};

std::vector<Call> calls() {
  return {
      {"barrier", [](Communicator& c, Room&) { c.barrier("meet").wait(); }},
      {"all_reduce", [](Communicator& c, Room& r) { c.all_reduce(r.everything(), Reduce::max, "sum").wait(); }},
      {"all_reduce, three together",
       [](Communicator& c, Room& r) {
         Work a = c.all_reduce(r.one(), Reduce::max, "a"), b = c.all_reduce(r.everything(), Reduce::max, "b");
         Work d = c.all_reduce(r.everything_else(), Reduce::max, "d");
         a.wait(), b.wait(), d.wait();
       },
       true},
      {"reduce_scatter", [](Communicator& c, Room& r) { c.reduce_scatter(r.everything(), r.one(), r.counts, Reduce::max, "cut").wait(); }},
      {"all_gather", [](Communicator& c, Room& r) { c.all_gather(r.one(), r.everything(), r.counts, "gather").wait(); }},
      {"all_to_all",
       [](Communicator& c, Room& r) { c.all_to_all(r.everything(), r.counts, r.everything_else(), r.counts, "turn").wait(); }},
      {"broadcast", [](Communicator& c, Room& r) { c.broadcast(r.everything(), c.size() - 1, "spread").wait(); }},
      {"send and recv",
       [](Communicator& c, Room& r) {
         Work sending = c.send(r.everything(), (c.rank() + 1) % c.size(), "on");
         c.recv(r.everything_else(), (c.rank() + c.size() - 1) % c.size(), "on").wait();
         sending.wait();
       },
       true},
  };
}

constexpr int kWindows = 10;

/// Allocations of all ranks together in each of the windows of `times` calls, after warm-up.
std::vector<std::uint64_t> count(const Call& call, int size, int nodes, std::int64_t n, int times) {
  auto world = make_thread_communicators(size, nodes);
  std::vector<std::vector<std::uint64_t>> counted(world.size(), std::vector<std::uint64_t>(kWindows));
  std::vector<std::thread> ranks;
  for (auto& comm : world)
    ranks.emplace_back([&, rank = comm.get()] {
      Room room(*rank, n);
      for (int i = 0; i < 30; ++i) call.run(*rank, room);
      for (std::uint64_t& window : counted[static_cast<std::size_t>(rank->rank())]) {
        const std::uint64_t before = allocations;
        for (int i = 0; i < times; ++i) call.run(*rank, room);
        window = allocations - before;
      }
    });
  for (std::thread& rank : ranks) rank.join();
  std::vector<std::uint64_t> all(kWindows);
  for (const auto& of_rank : counted)
    for (std::size_t window = 0; window < all.size(); ++window) all[window] += of_rank[window];
  return all;
}

}  // namespace

#if CHORALE_OWN_MALLOC
TEST_CASE("allocations are seen", "[comm]") {
  const std::uint64_t before = allocations;
  std::vector<int> some(1000);
  some.shrink_to_fit();
  CHECK(some.size() == 1000);
  CHECK(allocations > before);
}
#endif

TEST_CASE("no verb calls malloc in steady state", "[comm]") {
  struct Layout {
    int size, nodes;
  };
  const auto layout = GENERATE(Layout{2, 1}, Layout{3, 1}, Layout{4, 2});
  const auto elements = GENERATE(std::int64_t{2}, std::int64_t{1500}, std::int64_t{40000});
  for (const Call& call : calls()) {
    INFO(call.verb << " of " << elements << " elements at " << layout.size << " ranks on " << layout.nodes << " nodes");
    const int times = layout.size == 2 && elements < 10000 ? 100 : 10;
    const std::vector<std::uint64_t> found = count(call, layout.size, layout.nodes, elements, times);
    // Blocks and the simulated wire's messages are kept for as many as ever were under way at once, and that may grow late: there one
    // window without allocations shows that calls need none. A verb alone in one node never needs any.
    if (layout.nodes > 1 || call.several)
      CHECK(*std::min_element(found.begin(), found.end()) == 0);
    else
      CHECK(std::accumulate(found.begin(), found.end(), std::uint64_t{0}) == 0);
  }
}

TEST_CASE("looking for a rank that is late calls no malloc", "[comm]") {
  auto world = make_thread_communicators(2);
  std::uint64_t found = 0;
  const auto late = [&](int rank) {
    for (int i = 0; i < 30; ++i) world[static_cast<std::size_t>(rank)]->barrier("meet").wait();
    const std::uint64_t before = allocations;
    for (int i = 0; i < 3; ++i) {
      if (rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the first look comes after 20, the second after 250
      world[static_cast<std::size_t>(rank)]->barrier("meet").wait();
    }
    if (rank == 0) found = allocations - before;
  };
  std::thread other([&] { late(1); });
  late(0);
  other.join();
  CHECK(found == 0);
}

}  // namespace chorale
