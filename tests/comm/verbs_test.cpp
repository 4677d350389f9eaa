// What a caller gets wrong, and what is counted: one process, no peers needed.
#include <catch2/catch.hpp>

#include <thread>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {

TEST_CASE("wrong counts are refused at once, with both numbers", "[comm]") {
  auto self = make_self_communicator();
  std::vector<float> three(3), four(4);
  const std::int64_t counts[] = {4};
  CHECK_THROWS_WITH(self->all_gather(buffer_of(std::span(three)), buffer_of(std::span(four)), counts, "parts"),
                    Catch::Contains("parts") && Catch::Contains("3") && Catch::Contains("4"));
  const std::int64_t two_ranks[] = {2, 2};
  CHECK_THROWS_AS(self->all_gather(buffer_of(std::span(four)), buffer_of(std::span(four)), two_ranks, "parts"), ShapeError);
  CHECK_THROWS_AS(self->broadcast(buffer_of(std::span(four)), 1, "from nobody"), ShapeError);
  CHECK_THROWS_AS(make_thread_communicators(2, 3), UsageError);
}

TEST_CASE("one rank's collectives are identities", "[comm]") {
  auto self = make_self_communicator();
  std::vector<float> data = {1.5f, -2.0f};
  self->all_reduce(buffer_of(std::span(data)), Reduce::sum, "sum").wait();
  self->broadcast(buffer_of(std::span(data)), 0, "spread").wait();
  CHECK(data == std::vector<float>{1.5f, -2.0f});
}

TEST_CASE("an abort before a collective ends it, also for one rank", "[comm]") {
  auto self = make_self_communicator();
  self->abort("no more");
  std::vector<float> data(2);
  CHECK_THROWS_WITH(self->all_reduce(buffer_of(std::span(data)), Reduce::sum, "sum").wait(), Catch::Contains("no more"));
}

TEST_CASE("bytes written for peers are counted", "[comm]") {
  auto world = make_thread_communicators(2);
  constexpr std::int64_t kElements = 1 << 16;
  std::thread other([&] {
    std::vector<float> data(kElements);
    world[1]->all_reduce(buffer_of(std::span(data)), Reduce::sum, "sum").wait();
  });
  std::vector<float> data(kElements);
  world[0]->all_reduce(buffer_of(std::span(data)), Reduce::sum, "sum").wait();
  other.join();
  // Two ranks, each other's memory in sight: each writes its half of the sum to its peer.
  CHECK(world[0]->bytes_sent() == kElements / 2 * sizeof(float));
}

TEST_CASE("a Work outlives its communicator with an error, not a crash", "[comm]") {
  auto world = make_thread_communicators(2);
  Work pending = world[0]->barrier("nobody comes");
  world.clear();
  CHECK_THROWS_AS(pending.wait(), CommError);
}

}  // namespace chorale
