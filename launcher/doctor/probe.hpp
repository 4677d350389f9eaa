// A group of checks: what all ranks find out together, and what it means. The two run in different processes: ranks may hang or die, the
// one that judges may not.
#pragma once
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

/// What the ranks are told.
struct ProbeOrder {
  std::string directory = {};  // of runs, absolute
  std::string nonce = {};      // part of every file's name that a probe makes, so that the files can be removed whatever happens
};

struct Probe {
  std::string name = {};
  std::vector<std::string> checks = {};  // names of the findings
  std::chrono::milliseconds share;       // of the time: then the ranks are ended in it
  bool needs_peers;                      // of one rank it says nothing
  /// Collective; what rank 0 returns counts.
  nlohmann::json (*ask)(Communicator& comm, const ProbeOrder& order);
  /// Throws nlohmann's exceptions for what no rank of this build has written.
  std::vector<Finding> (*judge)(const nlohmann::json& facts);
};

/// In the order in which they are asked.
const std::vector<Probe>& all_probes();
/// Null: there is none of that name.
const Probe* find_probe(const std::string& name);

/// What every rank has found, in rank order, on every rank. Collective.
template <class Facts>
std::vector<Facts> gather_facts(Communicator& comm, const Facts& mine, Label label) {
  const std::string text = nlohmann::json(mine).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::vector<Facts> out;
  for (const std::vector<std::byte>& one : all_gather_bytes(comm, std::as_bytes(std::span(text)), label)) {
    const char* start = reinterpret_cast<const char*>(one.data());
    out.push_back(nlohmann::json::parse(start, start + one.size()).template get<Facts>());
  }
  return out;
}

/// "rank 3 on b"
std::string rank_text(int rank, const std::string& host);
double median_of(std::vector<double> values);
/// "1.5 GiB"
std::string bytes_text(double bytes);

// One file each.
Probe seats_probe();
Probe builds_probe();
Probe limits_probe();
Probe interfaces_probe();
Probe directory_probe();
Probe clocks_probe();
Probe links_probe();
Probe peaks_probe();
Probe all_reduce_probe();

}  // namespace chorale
