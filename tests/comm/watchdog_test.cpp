// A rank that does not come is waited for as long as it gets on, and then named with its place.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <thread>

#include <chorale/comm/communicator.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/base/error.hpp>

using namespace chorale;
using namespace std::chrono_literals;

namespace {

/// What each rank's thread ends with; empty: well.
std::vector<std::string> run_ranks(int ranks, int nodes, const std::function<void(Communicator&)>& body) {
  auto comms = make_thread_communicators(ranks, nodes);
  std::vector<std::string> errors(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      const auto at = static_cast<std::size_t>(r);
      try {
        body(*comms[at]);
      } catch (const std::exception& e) {
        errors[at] = e.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

void hang_until_aborted(Communicator& comm) {
  while (!comm.is_aborted()) std::this_thread::sleep_for(5ms);
}

}  // namespace

TEST_CASE("at the deadline the message says who is missing, where and since when") {
  const auto errors = run_ranks(3, 1, [](Communicator& comm) {
    comm.set_timeout_ms(500);
    comm.watch().begin_step(17);
    comm.barrier("first").wait();
    comm.watch().enter(Activity::forward);
    comm.watch().forward("encoder.2");
    if (comm.rank() == 2) return hang_until_aborted(comm);
    comm.barrier("gradients").wait();
  });
  CHECK_THAT(errors[0], Catch::StartsWith("barrier #2 'gradients': waiting for rank 2, last seen in forward of layer 'encoder.2', 0."));
  CHECK_THAT(errors[0], Catch::Contains(" s ago (step 17)"));
  CHECK_THAT(errors[0], Catch::Contains("watchdog.seconds"));
  CHECK_THAT(errors[1], Catch::StartsWith("barrier #2 'gradients': waiting for rank 2"));
}

TEST_CASE("between nodes the message names the node") {
  const auto errors = run_ranks(2, 2, [](Communicator& comm) {
    comm.set_timeout_ms(400);
    comm.barrier("first").wait();
    if (comm.rank() == 1) return hang_until_aborted(comm);
    comm.barrier("gradients").wait();
  });
  CHECK_THAT(errors[0], Catch::StartsWith("barrier #2 'gradients': waiting for rank 1 (node 1)"));
}

TEST_CASE("who knows of other nodes is asked where the rank is") {
  const auto errors = run_ranks(2, 2, [](Communicator& comm) {
    comm.set_timeout_ms(400);
    comm.on_far_ranks([](int) -> std::optional<LastSeen> {
      Presence there;
      there.enter(Activity::backward, "head");
      return LastSeen{.seen = there.read(), .seconds_ago = 3.25, .is_stopped = true};
    });
    comm.barrier("first").wait();
    if (comm.rank() == 1) return hang_until_aborted(comm);
    comm.barrier("gradients").wait();
  });
  CHECK_THAT(errors[0], Catch::Contains("rank 1 (node 1), its process is stopped, last seen in backward of layer 'head', 3.2 s ago"));
}

TEST_CASE("a rank that gets on in a long activity is waited for beyond the deadline") {
  const auto errors = run_ranks(2, 1, [](Communicator& comm) {
    comm.set_timeout_ms(400);
    if (comm.rank() == 1) {
      const Stay stay(comm.watch(), Activity::saving, "checkpoint");
      for (int i = 0; i < 15; ++i) std::this_thread::sleep_for(100ms), comm.watch().beat();
    }
    comm.barrier("saved").wait();
  });
  CHECK(errors == std::vector<std::string>{"", ""});
}

TEST_CASE("a rank that goes round and round without coming is found") {
  std::atomic<int> rounds{0};
  const auto errors = run_ranks(2, 1, [&](Communicator& comm) {
    comm.set_timeout_ms(400);
    while (comm.rank() == 1 && !comm.is_aborted()) {
      comm.watch().enter(Activity::forward);
      comm.watch().forward("2");
      comm.watch().enter(Activity::backward);
      ++rounds;
      std::this_thread::sleep_for(1ms);
    }
    comm.barrier("gradients").wait();
  });
  CHECK(rounds > 50);
  CHECK_THAT(errors[0], Catch::Contains("waiting for rank 1"));
}

TEST_CASE("whom a missing rank waits for itself is what is named") {
  const auto errors = run_ranks(3, 1, [](Communicator& comm) {
    comm.set_timeout_ms(1600);
    const auto pair = comm.split(comm.rank() == 0 ? 0 : 1, comm.rank());
    if (comm.rank() == 2) {
      comm.watch().enter(Activity::forward);
      comm.watch().forward("4");
      return hang_until_aborted(comm);
    }
    if (comm.rank() == 1) {
      std::this_thread::sleep_for(600ms);  // rank 0's deadline comes first
      pair->barrier("inner").wait();
    }
    comm.barrier("outer").wait();
  });
  CHECK_THAT(errors[0], Catch::Contains("'outer': waiting for rank 1, which waits for rank 2, last seen in forward of layer '4'"));
}

TEST_CASE("the deadline of steps is shorter than that of long activities") {
  const auto start = std::chrono::steady_clock::now();
  const auto errors = run_ranks(2, 1, [](Communicator& comm) {
    comm.set_timeout_ms(20000);
    comm.set_step_timeout_ms(300);
    comm.watch().enter(Activity::backward);
    if (comm.rank() == 1) return hang_until_aborted(comm);
    comm.barrier("gradients").wait();
  });
  CHECK(std::chrono::steady_clock::now() - start < 10s);
  CHECK_THAT(errors[0], Catch::Contains("deadline of 0.3 s"));
}
