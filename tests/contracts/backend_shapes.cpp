// Every verb over types, sizes and offsets; sequences nobody thought of; a rank that comes late.
#include <chrono>
#include <iostream>
#include <random>
#include <thread>

#include "backend_calls.hpp"
#include "backend_suite.hpp"

namespace chorale::contract {
namespace {

/// All types at small sizes; at the large ones types, offsets and memory take turns, and other turns at other rank counts.
void every_shape(Communicator& comm, Verb verb) {
  const std::int64_t n = 32 * comm.size();
  for (const DType dtype : kTypes)
    for (const std::int64_t size : {std::int64_t{0}, std::int64_t{1}, std::int64_t{3}, n - 1, n, n + 1})
      exercise(comm, {.verb = verb, .dtype = dtype, .n = size, .offset = size % 3, .shared = size % 2 == 1});
  std::size_t turn = static_cast<std::size_t>(comm.size()) + static_cast<std::size_t>(verb);
  for (const std::int64_t size : {std::int64_t{5003}, std::int64_t{1} << 20})
    for (const bool shared : {false, true}) {
      exercise(comm, {.verb = verb,
                      .dtype = kTypes[turn % std::size(kTypes)],
                      .n = size,
                      .offset = static_cast<std::int64_t>(turn % 4),
                      .shared = shared});
      ++turn;
    }
}

/// Rank 0's choice, so that all make the same calls. CHORALE_TEST_SEED repeats one.
std::uint64_t agreed_seed(Communicator& comm) {
  const char* given = std::getenv("CHORALE_TEST_SEED");
  std::int64_t seed = given ? std::atoll(given) : static_cast<std::int64_t>(std::random_device()());
  comm.broadcast(buffer_of(std::span(&seed, 1)), 0, "seed").wait();
  return static_cast<std::uint64_t>(seed);
}

void random_sequence(Communicator& comm) {
  const std::uint64_t seed = agreed_seed(comm);
  if (comm.rank() == 0)
    std::cout << "random calls of " + std::to_string(comm.size()) + " ranks: CHORALE_TEST_SEED=" + std::to_string(seed) + "\n";
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (int step = 0; step < 60; ++step) {
    const Call call{.verb = kVerbs[below(std::size(kVerbs))],
                    .dtype = kTypes[below(std::size(kTypes))],
                    .n = static_cast<std::int64_t>(below(std::size_t{1} << below(18))),
                    .offset = static_cast<std::int64_t>(below(4)),
                    .shared = below(3) == 0};
    if (const std::size_t late = below(8); static_cast<int>(late) == comm.rank()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    try {
      exercise(comm, call);
    } catch (const std::exception& error) {
      throw Broken("seed " + std::to_string(seed) + ", call " + std::to_string(step) + ", " + call.text() + ": " + error.what());
    }
  }
}

void late_by_200_ms(Communicator& comm, Verb verb) {
  comm.barrier("before").wait();
  if (comm.rank() == static_cast<int>(verb) % comm.size()) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  exercise(comm, {.verb = verb, .dtype = DType::f32, .n = 3000, .shared = verb == Verb::all_gather});
  exercise(comm, {.verb = verb, .dtype = DType::f32, .n = 50000});
}

}  // namespace

std::vector<Check> shape_checks() {
  std::vector<Check> out;
  for (const Verb verb : kVerbs)
    out.push_back({std::string(name(verb)) + " of every type, size and offset", [verb](Communicator& comm) { every_shape(comm, verb); }});
  out.push_back({"random sequences of verbs", random_sequence});
  return out;
}

std::vector<Check> late_checks() {
  std::vector<Check> out;
  for (const Verb verb : kVerbs)
    out.push_back(
        {std::string(name(verb)) + " waits for a rank that is 200 ms late", [verb](Communicator& comm) { late_by_200_ms(comm, verb); }});
  return out;
}

std::vector<Check> large_checks() {
  constexpr std::int64_t kLarge = (std::int64_t{1} << 26) + 1;
  const auto call = [](Verb verb, DType dtype, std::int64_t n, bool shared) {
    return [=](Communicator& comm) { exercise(comm, {.verb = verb, .dtype = dtype, .n = n, .shared = shared}); };
  };
  return {
      {"all_reduce of 2^26 + 1 f32", call(Verb::all_reduce, DType::f32, kLarge, false)},
      {"all_reduce of 2^26 + 1 f32 in allocated memory", call(Verb::all_reduce, DType::f32, kLarge, true)},
      {"all_gather of 2^26 + 1 u8", call(Verb::all_gather, DType::u8, kLarge, false)},
      {"all_gather of 2^26 + 1 u8 in allocated memory", call(Verb::all_gather, DType::u8, kLarge, true)},
  };
}

std::vector<Check> huge_checks() {
  constexpr std::int64_t kHuge = (std::int64_t{1} << 31) + 5;
  return {
      {"all_reduce of 2^31 + 5 u8", [](Communicator& comm) { exercise(comm, {.verb = Verb::all_reduce, .dtype = DType::u8, .n = kHuge}); }},
      {"all_gather of 2^31 + 5 u8", [](Communicator& comm) { exercise(comm, {.verb = Verb::all_gather, .dtype = DType::u8, .n = kHuge}); }},
      {"messages of 2^31 + 5 u8", [](Communicator& comm) { exercise(comm, {.verb = Verb::messages, .dtype = DType::u8, .n = kHuge}); }}};
}

}  // namespace chorale::contract
