// What a communicator that was split off has of its own: its name in every label, its deadlines, its bytes.
#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

std::vector<std::string> run_ranks(int size, const std::function<void(Communicator&)>& rank_body) {
  auto world = make_thread_communicators(size);
  std::vector<std::string> errors(world.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < world.size(); ++r)
    threads.emplace_back([&, r] {
      try {
        rank_body(*world[r]);
      } catch (const std::exception& error) {
        errors[r] = error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

std::string task_of(const Communicator& world) { return world.rank() == 0 ? "purchase" : "returns"; }

}  // namespace

TEST_CASE("at the deadline the task is named, and its deadline is its own") {
  const auto errors = run_ranks(3, [](Communicator& world) {
    world.set_timeout_ms(20000);
    const auto task = world.split(world.rank() == 0 ? 0 : 1, 0, task_of(world));
    if (world.rank() != 0) task->set_timeout_ms(300);
    if (world.rank() == 1) task->barrier("gradients").wait();
    if (world.rank() == 0) world.barrier("sharing").wait();
    while (!world.is_aborted()) std::this_thread::yield();
  });
  CHECK_THAT(errors[1], Catch::Contains("'returns/gradients': waiting for rank 2") && Catch::Contains("deadline of 0.3 s"));
  CHECK_THAT(errors[0], Catch::Contains("'returns/gradients'"));  // whoever waits elsewhere is told whose collective it was
}

TEST_CASE("names are put one behind the other, and node() has its communicator's") {
  const auto errors = run_ranks(2, [](Communicator& world) {
    const auto task = world.split(0, 0, "fraud");
    const auto part = task->split(0, 0, "head");
    part->set_timeout_ms(100);
    if (world.rank() == 0) part->node().barrier("here").wait();
    while (!world.is_aborted()) std::this_thread::yield();
  });
  CHECK_THAT(errors[0], Catch::Contains("'fraud/head/here'"));
}

TEST_CASE("each communicator counts its own bytes") {
  const auto errors = run_ranks(2, [](Communicator& world) {
    std::vector<float> data(1 << 16);
    world.all_reduce(buffer_of(std::span(data)), Reduce::sum, "sum").wait();
    const std::uint64_t before = world.bytes_sent();
    const auto task = world.split(0, 0, "fraud");
    const std::uint64_t split = world.bytes_sent();
    if (task->bytes_sent() != 0) throw UsageError("it begins with bytes");
    task->all_reduce(buffer_of(std::span(data)), Reduce::sum, "sum").wait();
    if (task->bytes_sent() != (1 << 15) * sizeof(float)) throw UsageError("task: " + std::to_string(task->bytes_sent()));
    if (world.bytes_sent() != split || split - before > 1000) throw UsageError("world: " + std::to_string(world.bytes_sent() - before));
  });
  CHECK(errors == std::vector<std::string>{"", ""});
}

TEST_CASE("names that do not fit are refused on every rank") {
  const auto differing = run_ranks(3, [](Communicator& world) { world.split(0, 0, task_of(world)); });
  for (const std::string& error : differing)
    CHECK_THAT(error, Catch::Contains("rank 0 names it 'purchase', rank 1 'returns'; ranks of one colour give one name"));
  const auto longer = run_ranks(2, [](Communicator& world) { world.split(0, 0, std::string(32, 'x')); });
  for (const std::string& error : longer) CHECK_THAT(error, Catch::Contains("longer than 31 characters"));
  const auto fits = run_ranks(2, [](Communicator& world) { world.split(0, 0, std::string(31, 'x'))->barrier("ends").wait(); });
  CHECK(fits == std::vector<std::string>{"", ""});
}

}  // namespace chorale
