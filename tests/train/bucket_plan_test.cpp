#include <catch2/catch.hpp>

#include <thread>

#include <chorale/train/bucket_plan.hpp>

using namespace chorale;

TEST_CASE("a link's speed is what the bytes of a large message add to the time of a small one") {
  const RoundTrips gigabit{.small_ms = 0.1, .large_ms = 4.1, .large_bytes = 250000};
  CHECK(gigabit.is_clear());
  CHECK(speed_of(gigabit).latency_ms == Approx(0.05));
  CHECK(speed_of(gigabit).bytes_per_ms == Approx(125000));
}

TEST_CASE("where load hides the bytes' time, no link is infinitely fast and buckets stay several") {
  for (const double large_ms : {4.0, 3.9, 2.0}) {  // no longer than the small one, or shorter
    CAPTURE(large_ms);
    const RoundTrips loaded{.small_ms = 4, .large_ms = large_ms, .large_bytes = 1 << 18};
    CHECK_FALSE(loaded.is_clear());
    CHECK(speed_of(loaded).bytes_per_ms <= 2.0 * (1 << 18) / (large_ms / 2));
  }
  const RoundTrips slow{.small_ms = 0.2, .large_ms = 0.2, .large_bytes = 1 << 18};
  CHECK(best_bucket_count(40e6, 20, speed_of(slow)) > 1);
}

TEST_CASE("a slow link and a long backward pass ask for more buckets, latency for fewer") {
  CHECK(best_bucket_count(1e6, 0, {.latency_ms = 0.05, .bytes_per_ms = 1e5}) == 1);  // nothing to hide behind
  const std::int64_t near = best_bucket_count(1e6, 10, {.latency_ms = 0.01, .bytes_per_ms = 1e5});
  const std::int64_t far = best_bucket_count(1e6, 10, {.latency_ms = 0.2, .bytes_per_ms = 1e5});
  CHECK(near > far);
  CHECK(far > 1);
}

TEST_CASE("all ranks know one speed of the slowest link, at every number of nodes") {
  for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{2, 2}, {3, 3}, {8, 4}, {5, 5}}) {
    CAPTURE(ranks, nodes);
    auto comms = make_thread_communicators(ranks, nodes);
    std::vector<LinkSpeed> found(static_cast<std::size_t>(ranks));
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks; ++r)
      threads.emplace_back([&, r] { found[static_cast<std::size_t>(r)] = measure_link(*comms[static_cast<std::size_t>(r)]); });
    for (std::thread& thread : threads) thread.join();
    for (const LinkSpeed& speed : found) {
      CHECK(speed.latency_ms == found[0].latency_ms);
      CHECK(speed.bytes_per_ms == found[0].bytes_per_ms);
      CHECK(speed.ends[0] == found[0].ends[0]);
      CHECK(speed.ends[1] == found[0].ends[1]);
    }
    CHECK(comms[0]->node_of(found[0].ends[0]) + 1 == comms[0]->node_of(found[0].ends[1]));
    CHECK(comms[0]->node_name(found[0].ends[1]) == std::to_string(comms[0]->node_of(found[0].ends[1])));
    CHECK(found[0].latency_ms > 0);
    CHECK(found[0].bytes_per_ms > 0);
    CHECK(found[0].bytes_per_ms < 1e9);  // a terabyte a second
  }
}
