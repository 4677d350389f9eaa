#include <chorale/launcher/doctor/links.hpp>

#include <catch2/catch.hpp>
#include <set>

namespace chorale {

namespace {
LinkFacts link(int a, int b, double latency_us, double gbs, bool between) {
  const std::string first = between ? "n" + std::to_string(a) : "a", second = between ? "n" + std::to_string(b) : "a";
  return {.first = a, .second = b, .first_host = first, .second_host = second, .latency_us = latency_us, .gbs = gbs};
}
LinksFacts all(std::vector<LinkFacts> pairs) {
  const int count = static_cast<int>(pairs.size());
  return {.pairs = std::move(pairs), .wanted = count};
}
}  // namespace

TEST_CASE("a pair with half the median bandwidth is named, and no other", "[launcher]") {
  const auto found = judge_links(all({link(0, 1, 20, 1.0, true), link(0, 2, 20, 1.1, true), link(1, 2, 20, 0.4, true)}));
  REQUIRE(found.size() == 2);
  CHECK(found[0].state == Finding::State::ok);
  CHECK(found[1].name == "bandwidth");
  CHECK(found[1].state == Finding::State::warning);
  CHECK(found[1].found.find("rank 1 on n1 - rank 2 on n2: 0.4 GB/s") != std::string::npos);
  CHECK(found[1].found.find("rank 0") == std::string::npos);
}

TEST_CASE("a pair with three times the median latency is named", "[launcher]") {
  const auto found = judge_links(all({link(0, 1, 20, 1, true), link(0, 2, 25, 1, true), link(1, 2, 200, 1, true)}));
  CHECK(found[0].state == Finding::State::warning);
  CHECK(found[0].found.find("rank 1 on n1 - rank 2 on n2: 200 us") != std::string::npos);
  CHECK(found[1].state == Finding::State::ok);
}

TEST_CASE("pairs inside a host do not set the measure for those between hosts", "[launcher]") {
  const auto found =
      judge_links(all({link(0, 1, 0.3, 10, false), link(2, 3, 0.3, 10, false), link(4, 5, 0.3, 10, false), link(0, 2, 30, 1, true)}));
  CHECK(found[0].state == Finding::State::ok);
  CHECK(found[1].state == Finding::State::ok);
}

TEST_CASE("the only pair of two hosts is slow against what its interfaces promise, or an old Ethernet", "[launcher]") {
  LinkFacts promised = link(0, 1, 30, 1.0, true);
  CHECK(judge_links(all({promised}))[1].state == Finding::State::ok);
  promised.megabits = 100000;
  CHECK(judge_links(all({promised}))[1].found.find("promise 12.5") != std::string::npos);
  CHECK(judge_links(all({link(0, 1, 30, 0.02, true)}))[1].found.find("rank 0 on n0 - rank 1 on n1") != std::string::npos);
  CHECK(judge_links(all({link(0, 1, 5000, 1, true)}))[0].state == Finding::State::warning);
}

TEST_CASE("pairs that were not measured in time are counted", "[launcher]") {
  LinksFacts cut = all({link(0, 1, 20, 1, true)});
  cut.wanted = 3;
  CHECK(judge_links(cut)[1].found.find("2 of 3 pairs were not measured") != std::string::npos);
  CHECK(judge_links({.pairs = {}, .wanted = 3})[0].state == Finding::State::skipped);
}

TEST_CASE("in a tournament all meet once and nobody plays twice in a round", "[launcher]") {
  for (const int players : {0, 1, 2, 3, 4, 7, 8, 33}) {
    std::set<std::pair<int, int>> met;
    for (const auto& round : tournament(players)) {
      std::set<int> busy;
      for (const auto& [a, b] : round) {
        CHECK(a < b);
        CHECK(b < players);
        CHECK(busy.insert(a).second);
        CHECK(busy.insert(b).second);
        CHECK(met.emplace(a, b).second);
      }
    }
    CHECK(met.size() == static_cast<std::size_t>(players * (players - 1) / 2));
  }
}

}  // namespace chorale
