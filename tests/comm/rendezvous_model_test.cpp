#include <catch2/catch.hpp>

#include <thread>

#include <chorale/comm/bell.hpp>

#include "rendezvous_model.hpp"

namespace chorale {
namespace {

model::Verdict explore(int ranks, int count, int rounds, model::Mistake mistake) {
  std::vector<model::Program> programs;
  for (int rank = 0; rank < ranks; ++rank) programs.push_back(model::collectives(rank, ranks, count, rounds, mistake));
  return model::explore(programs);
}

}  // namespace

TEST_CASE("in every interleaving ranks read what was meant, and nobody sleeps for ever", "[comm]") {
  const model::Verdict two = explore(2, 2, 2, model::Mistake::none);
  INFO(two.states << " states of two ranks");
  CHECK(two.broken == "");
  const model::Verdict three = explore(3, 1, 0, model::Mistake::none);
  INFO(three.states << " states of three ranks");
  CHECK(three.broken == "");
  CHECK(three.states > 100000);
}

TEST_CASE("the model finds lost wake-ups and early writes where they are put in", "[comm]") {
  using model::Mistake;
  CHECK(explore(2, 1, 1, Mistake::no_ring).broken == "somebody sleeps for ever");
  CHECK(explore(2, 1, 1, Mistake::looks_at_sleepers_before_entering).broken == "somebody sleeps for ever");
  CHECK(explore(2, 1, 1, Mistake::listens_after_looking).broken == "somebody sleeps for ever");
  CHECK(explore(2, 1, 3, Mistake::one_stage).broken != "");
  CHECK(explore(2, 1, 3, Mistake::one_board).broken != "");
  CHECK(explore(2, 3, 1, Mistake::one_slot).broken == "");  // each collective here has phases enough to part them
}

TEST_CASE("a sleeper wakes at the ring, long before its limit", "[comm]") {
  Bell bell;
  std::atomic<bool> changed{false};
  std::thread ringer([&] {
    while (!bell.has_sleepers()) std::this_thread::yield();
    changed = true;
    if (bell.has_sleepers()) bell.ring();
  });
  const auto start = std::chrono::steady_clock::now();
  while (!changed) {
    const Bell::Sleeper sleeper(bell);
    if (!changed) sleeper.sleep(5000000);
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(4));
  ringer.join();
  CHECK_FALSE(bell.has_sleepers());
}

}  // namespace chorale
