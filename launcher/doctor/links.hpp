// Latency and bandwidth of every pair: of ranks inside a host, of hosts by their first ranks.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct LinkFacts {
  int first = 0, second = 0;  // ranks
  std::string first_host = {}, second_host = {};
  double latency_us = 0, gbs = 0;  // one way; gigabytes a second
  std::int64_t megabits = -1;      // that the slower of the two hosts' fastest interfaces tells; -1: unknown
  bool is_between_hosts() const { return first_host != second_host; }
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LinkFacts, first, second, first_host, second_host, latency_us, gbs, megabits)

struct LinksFacts {
  std::vector<LinkFacts> pairs = {};
  int wanted = 0;  // pairs; fewer were measured when the time was up
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LinksFacts, pairs, wanted)

/// latency, bandwidth. A pair is slow against the median of its kind; between hosts also against what its interfaces promise, since of two
/// hosts there is but one pair.
std::vector<Finding> judge_links(const LinksFacts& links);

/// Who meets whom: `players` meet each other once, in rounds in which each plays at most once (the circle method of tournaments).
std::vector<std::vector<std::pair<int, int>>> tournament(int players);

}  // namespace chorale
