#include <chorale/launcher/doctor/seats.hpp>

#include <catch2/catch.hpp>

namespace chorale {

namespace {
SeatFacts seat(int rank, const std::string& host, std::set<std::string> cores, int node_cores) {
  SeatFacts out = {.rank = rank, .host = host, .cores = std::move(cores), .node_cores = node_cores};
  out.is_bound = static_cast<int>(out.cores.size()) < node_cores;
  return out;
}
const Finding& named(const std::vector<Finding>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(), [&](const Finding& f) { return f.name == name; });
}
}  // namespace

TEST_CASE("ranks bound to one core are named with it, those of another host are not", "[launcher]") {
  const auto found = judge_seats({seat(0, "a", {"0.0"}, 4), seat(1, "a", {"0.1"}, 4), seat(2, "b", {"0.0"}, 4), seat(3, "b", {"0.0"}, 4)});
  const Finding& binding = named(found, "binding");
  CHECK(binding.state == Finding::State::warning);
  CHECK(binding.found.find("ranks 2, 3 on b share core 0.0") != std::string::npos);
  CHECK(binding.found.find("on a share") == std::string::npos);
  CHECK_FALSE(binding.remedy.empty());
}

TEST_CASE("each rank on a core of its own is fine; free ranks with room are told to bind", "[launcher]") {
  CHECK(named(judge_seats({seat(0, "a", {"0.0"}, 2), seat(1, "a", {"0.1"}, 2)}), "binding").state == Finding::State::ok);
  const auto free = judge_seats({seat(0, "a", {"0.0", "0.1"}, 2), seat(1, "a", {"0.0", "0.1"}, 2)});
  CHECK(named(free, "binding").state == Finding::State::warning);
  CHECK(named(free, "ranks_above_cores").state == Finding::State::ok);
}

TEST_CASE("more ranks than cores, or than the cgroup gives time for, are named by host", "[launcher]") {
  std::vector<SeatFacts> crowd = {seat(0, "a", {"0.0"}, 1), seat(1, "b", {"0.0"}, 1), seat(2, "b", {"0.0"}, 1)};
  const Finding above = named(judge_seats(crowd), "ranks_above_cores");
  CHECK(above.state == Finding::State::warning);
  CHECK(above.found.find("2 ranks on b") != std::string::npos);
  CHECK(above.found.find("on a") == std::string::npos);
  std::vector<SeatFacts> limited = {seat(0, "a", {"0.0"}, 4), seat(1, "a", {"0.1"}, 4)};
  CHECK(named(judge_seats(limited), "ranks_above_cores").state == Finding::State::ok);
  for (SeatFacts& s : limited) s.quota = 1;
  CHECK(named(judge_seats(limited), "ranks_above_cores").found.find("quota of 1 processors") != std::string::npos);
}

TEST_CASE("threads need cores, and as many on every rank", "[launcher]") {
  std::vector<SeatFacts> ranks = {seat(0, "a", {"0.0"}, 4), seat(1, "a", {"0.1", "0.2"}, 4)};
  for (SeatFacts& s : ranks) s.threads = 2;
  CHECK(named(judge_seats(ranks), "threads").found.find("rank 0 on a computes with 2 threads on 1 physical core") != std::string::npos);
  ranks[0].threads = 1;
  CHECK(named(judge_seats(ranks), "threads").found.find("equal threads") != std::string::npos);
  ranks[1].threads = 1;
  CHECK(named(judge_seats(ranks), "threads").state == Finding::State::ok);
}

TEST_CASE("processor numbers read as ranges", "[launcher]") {
  CHECK(ranges_text({}).empty());
  CHECK(ranges_text({3}) == "3");
  CHECK(ranges_text({0, 1, 2, 8, 10, 11}) == "0-2,8,10-11");
}

}  // namespace chorale
