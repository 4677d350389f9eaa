// Small sums issued together travel as one message; all the ranks are driven by one thread, so what is counted does not depend on timing.
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

#include <chorale/comm/backends/thread_regions.hpp>
#include <chorale/comm/backends/thread_transport.hpp>
#include <chorale/comm/node_communicator.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

class CountingTransport final : public Transport {
 public:
  CountingTransport(std::shared_ptr<Mailboxes> boxes, int rank) : inner_(std::move(boxes), rank) {}
  std::unique_ptr<Transfer> send(int to, int tag, std::span<const std::byte> bytes) override {
    ++messages;
    return inner_.send(to, tag, bytes);
  }
  std::unique_ptr<Transfer> receive(int from, int tag, std::span<std::byte> bytes) override { return inner_.receive(from, tag, bytes); }
  void nudge() override {}
  int messages = 0;

 private:
  ThreadTransport inner_;
};

/// `size` ranks on `nodes` nodes whose messages and meetings are counted.
struct World {
  World(int size, int nodes) {
    Membership members;
    for (int r = 0; r < size; ++r) members.root_ranks.push_back(r);
    for (int node = 0; node < nodes; ++node) members.nodes.push_back({node * size / nodes, (node + 1) * size / nodes});
    const auto regions = std::make_shared<ThreadRegions>();
    const auto boxes = std::make_shared<Mailboxes>();
    const auto board = std::make_shared<AbortBoard>();
    for (const RankRange& node : members.nodes) {
      members.rank = node.first;
      const Region page = regions->create(NodeCommunicator::page_bytes(members));
      pages.push_back(page.memory);
      for (members.rank = node.first; members.rank < node.last; ++members.rank) {
        wires.push_back(std::make_shared<CountingTransport>(boxes, members.rank));
        auto world = std::make_shared<RankWorld>();
        world->regions = regions, world->transport = wires.back(), world->abort = board;
        ranks.push_back(std::make_unique<NodeCommunicator>(members, std::move(world), page.memory, 0));
        ranks.back()->set_timeout_ms(2000);
      }
    }
  }
  int messages() const {
    int all = 0;
    for (const auto& wire : wires) all += wire->messages;
    return all;
  }
  /// Phases that the first rank has entered.
  std::uint64_t meetings() const { return NodePage(pages[0], static_cast<int>(ranks.size()), 0).slot(0).arrived.load(); }

  std::vector<std::shared_ptr<std::byte>> pages;
  std::vector<std::shared_ptr<CountingTransport>> wires;
  std::vector<std::unique_ptr<NodeCommunicator>> ranks;
};

/// Every rank issues its sums, then all are pushed on in turn until they are done.
void finish(std::vector<Work>& pending) {
  for (int left = 1; left > 0;) {
    left = 0;
    for (Work& work : pending) left += work.done() ? 0 : 1;
  }
  for (Work& work : pending) work.wait();
}

/// Sum i of a rank has i + 1 elements; types and operations alternate.
struct Sums {
  explicit Sums(int rank, int count) {
    for (int i = 0; i < count; ++i) {
      floats.emplace_back(static_cast<std::size_t>(i + 1), 0.25f * static_cast<float>(rank + 1 + i));
      integers.emplace_back(static_cast<std::size_t>(i + 1), 100 * rank + i);
    }
  }
  Work issue(Communicator& comm, int i) {
    const auto at = static_cast<std::size_t>(i);
    if (i % 2 == 0) return comm.all_reduce(buffer_of(std::span(floats[at])), Reduce::sum, "floats");
    return comm.all_reduce(buffer_of(std::span(integers[at])), Reduce::max, "integers");
  }
  bool operator==(const Sums&) const = default;
  std::vector<std::vector<float>> floats;
  std::vector<std::vector<std::int64_t>> integers;
};

/// All ranks issue `each[r]` sums, finish them, and issue the rest; what every rank then has.
std::vector<Sums> run(World& world, int count, const std::vector<int>& each) {
  std::vector<Sums> sums;
  for (std::size_t r = 0; r < world.ranks.size(); ++r) sums.emplace_back(static_cast<int>(r), count);
  std::vector<Work> pending;
  for (std::size_t r = 0; r < world.ranks.size(); ++r)
    for (int i = 0; i < each[r]; ++i) pending.push_back(sums[r].issue(*world.ranks[r], i));
  for (int turn = 0; turn < 100; ++turn)
    for (Work& work : pending) work.done();
  for (std::size_t r = 0; r < world.ranks.size(); ++r)
    for (int i = each[r]; i < count; ++i) pending.push_back(sums[r].issue(*world.ranks[r], i));
  finish(pending);
  return sums;
}

}  // namespace

TEST_CASE("eight small sums issued together send the messages of two", "[comm]") {
  World one(2, 2), eight(2, 2);
  run(one, 1, {1, 1});
  run(eight, 8, {8, 8});
  CHECK(one.messages() == 4);                     // an envelope and a message of sums from each node
  CHECK(eight.messages() == 2 * one.messages());  // the first leaves at once, the others go together
}

TEST_CASE("eight small sums issued together meet three times", "[comm]") {
  World one(3, 1), eight(3, 1);
  run(one, 1, {1, 1, 1});
  run(eight, 8, {8, 8, 8});
  CHECK(one.meetings() == 1);
  CHECK(eight.meetings() == 3);  // whoever came last is done with the first at once, so its second goes before the rest
}

TEST_CASE("sums that travel together have the bits of sums that travel alone", "[comm]") {
  struct Layout {
    int size, nodes;
  };
  const auto layout = GENERATE(Layout{2, 1}, Layout{3, 1}, Layout{5, 1}, Layout{2, 2}, Layout{5, 2}, Layout{7, 3});
  const auto n = static_cast<std::size_t>(layout.size);
  World alone(layout.size, layout.nodes), together(layout.size, layout.nodes), uneven(layout.size, layout.nodes);
  constexpr int kCount = 40;  // more than go at once
  std::vector<Sums> expected;
  for (std::size_t r = 0; r < n; ++r) expected.emplace_back(static_cast<int>(r), kCount);
  for (int i = 0; i < kCount; ++i) {
    std::vector<Work> pending;
    for (std::size_t r = 0; r < n; ++r) pending.push_back(expected[r].issue(*alone.ranks[r], i));
    finish(pending);
  }
  CHECK(run(together, kCount, std::vector<int>(n, kCount)) == expected);
  std::vector<int> each;  // some ranks are ahead
  for (std::size_t r = 0; r < n; ++r) each.push_back(static_cast<int>(3 + 7 * r % 11));
  CHECK(run(uneven, kCount, each) == expected);
}

TEST_CASE("a difference among sums that travel together is named", "[comm]") {
  const int nodes = GENERATE(1, 2);
  World world(2, nodes);
  std::vector<float> a[2], b[2];
  std::vector<Work> pending;
  for (std::size_t r = 0; r < 2; ++r) {
    a[r].resize(3), b[r].resize(r == 0 ? 4 : 5);
    for (int i = 0; i < 3; ++i) pending.push_back(world.ranks[r]->all_reduce(buffer_of(std::span(a[r])), Reduce::sum, "equal"));
    pending.push_back(world.ranks[r]->all_reduce(buffer_of(std::span(b[r])), Reduce::sum, "loss"));
  }
  std::string found;
  try {
    finish(pending);
  } catch (const CommError& error) {
    found = error.what();
  }
  CHECK_THAT(found, Catch::Contains("loss") && Catch::Contains("4 x f32") && Catch::Contains("5 x f32"));
}

TEST_CASE("another verb among small sums keeps its place", "[comm]") {
  World world(2, 1);
  std::vector<std::int64_t> x[2], y[2];
  std::vector<Work> pending;
  for (std::size_t r = 0; r < 2; ++r) {
    x[r] = {static_cast<std::int64_t>(r + 1)}, y[r] = {static_cast<std::int64_t>(10 * (r + 1))};
    Communicator& comm = *world.ranks[r];
    pending.push_back(comm.all_reduce(buffer_of(std::span(x[r])), Reduce::sum, "x"));
    pending.push_back(comm.all_reduce(buffer_of(std::span(x[r])), Reduce::sum, "x again"));
    pending.push_back(comm.broadcast(buffer_of(std::span(y[r])), 1, "y"));
    pending.push_back(comm.all_reduce(buffer_of(std::span(y[r])), Reduce::sum, "y"));
  }
  finish(pending);
  for (std::size_t r = 0; r < 2; ++r) CHECK((x[r][0] == 6 && y[r][0] == 40));
}

}  // namespace chorale
