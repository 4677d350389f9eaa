// `sharded` between nodes: state that other nodes' ranks own takes memory only while somebody needs all of it.
#include <catch2/catch.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include <chorale/core/nn/sequential.hpp>
#include <chorale/train/data_parallel.hpp>
#include <chorale/train/trainer.hpp>

using namespace chorale;

namespace {

std::size_t resident_bytes(const std::vector<Buffer>& state) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::size_t pages = 0;
  for (const Buffer& buffer : state) {
    std::vector<unsigned char> here((buffer.bytes() + page - 1) / page);
    REQUIRE(mincore(buffer.data, buffer.bytes(), here.data()) == 0);
    for (const unsigned char is : here) pages += is & 1;
  }
  return pages * page;
}

std::vector<std::byte> bytes_of(const std::vector<Buffer>& state) {
  std::vector<std::byte> out;
  for (const Buffer& b : state) out.insert(out.end(), static_cast<std::byte*>(b.data), static_cast<std::byte*>(b.data) + b.bytes());
  return out;
}

struct Seen {
  std::size_t whole = 0, before = 0, gathered = 0, released = 0;
  bool same_state = false, same_parameters = false;
};

void one_rank(Communicator& comm, const std::string& wire, Seen& seen) {
  Registry registry;
  register_all(registry);
  SilentLog log;
  auto device = make_cpu_device();
  auto model = build_layers("linear(1500) relu linear(300) relu linear(1)", {200}, registry);  // 3 MB
  auto rule = make_optimizer({}, registry);
  FlatParams params(*model, *device, DType::f32);
  DataParallel replicas({comm, params, *rule, registry, log, {.exchange = "sharded", .wire = wire}});
  if (replicas.fills()) params.initialise(1, "torch");
  replicas.filled();
  replicas.start(comm.size());
  const auto step = [&](std::int64_t number) {
    const Buffer into = replicas.begin()[0];
    replicas.last_pass();
    for (std::int64_t i = 0; i < into.elements; ++i) into.as<float>()[i] = static_cast<float>((i + number) % 7) - 2.5f;
    for (std::size_t i = 0; i < params.entries().size(); ++i) replicas.ready(i);
    const WorkerReport report{1, 1};
    replicas.step({.number = number, .settle = false}, std::span(&report, 1), {});
  };
  for (std::int64_t number = 1; number <= 5; ++number) step(number);  // the plan of buckets changes on the way, which gathers
  const bool looks = comm.node().rank() == 0;
  const auto resident = [&] {
    comm.barrier("before counting").wait();
    const std::size_t bytes = looks ? resident_bytes(rule->state()) : 0;
    comm.barrier("counted").wait();
    return bytes;
  };
  Seen mine;
  mine.whole = 2 * static_cast<std::size_t>(params.trainable_elements()) * sizeof(float);
  mine.before = resident();
  replicas.gather_state();
  mine.gathered = resident();
  const std::vector<std::byte> first = bytes_of(rule->state());
  replicas.release_state();
  mine.released = resident();
  replicas.gather_state();
  mine.same_state = bytes_of(rule->state()) == first;
  replicas.release_state();
  step(6);
  replicas.gather_state();  // what was released is not missed
  if (looks) seen = mine;
}

}  // namespace

TEST_CASE("after a checkpoint or a new plan of buckets a node keeps the state that its ranks own, and no more") {
  for (const std::string wire : {"f32", "bf16"})
    for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{2, 2}, {4, 2}, {6, 3}}) {
      CAPTURE(wire, ranks, nodes);
      auto comms = make_thread_communicators(ranks, nodes);
      std::vector<Seen> seen(static_cast<std::size_t>(nodes));
      std::vector<std::string> errors(static_cast<std::size_t>(ranks));
      std::vector<std::thread> threads;
      for (int r = 0; r < ranks; ++r)
        threads.emplace_back([&, r] {
          Communicator& comm = *comms[static_cast<std::size_t>(r)];
          try {
            one_rank(comm, wire, seen[static_cast<std::size_t>(comm.node_index())]);
          } catch (const std::exception& e) {
            errors[static_cast<std::size_t>(r)] = e.what();
            comm.abort(e.what());
          }
        });
      for (std::thread& thread : threads) thread.join();
      for (const std::string& error : errors) CHECK(error == "");
      for (const Seen& node : seen) {
        const std::size_t own = node.whole / static_cast<std::size_t>(nodes), slack = node.whole / 10;  // pages on borders of buckets
        CHECK(node.gathered >= node.whole);
        CHECK(node.before <= own + slack);
        CHECK(node.released <= own + slack);
        CHECK(node.released + slack >= own);
        CHECK(node.same_state);
      }
    }
}
