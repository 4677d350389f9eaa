// Measures one collective over sizes: on allocated memory, on ordinary memory, and by a peer, in turn within each repetition.
// Called by all ranks.
#pragma once
#include <string>
#include <vector>

#include <chorale/comm/backends/mpi_peer.hpp>
#include <chorale/launcher/bench/collective_trial.hpp>
#include <chorale/launcher/spread.hpp>

namespace chorale {

struct CollectiveFigures {
  std::string op;
  std::int64_t bytes = 0;  // that were moved: whole elements, of all_to_all in equal parts
  DType dtype = DType::f32;
  int ranks = 1;
  double bus_factor = 1;
  Spread shared_us = {}, ordinary_us = {},
         peer_us = {};   // peer_us empty: none. Times of a repetition are means over ranks, as nccl-tests gives
  bool correct = false;  // on both kinds of memory, on every rank

  double algbw_gbs(const Spread& time) const { return time.median > 0 ? static_cast<double>(bytes) / time.median / 1e3 : 0; }
  double busbw_gbs(const Spread& time) const { return algbw_gbs(time) * bus_factor; }
  double ratio(const Spread& time) const { return time.median > 0 ? peer_us.median / time.median : 0; }
};

struct CollectiveBenchConfig {
  std::string op = "all_reduce";
  DType dtype = DType::f32;
  std::int64_t repeat = 0;  // 0: as many as fit a budget of time
};

/// Before every call all ranks write their input anew and meet, so that data lies where a training step leaves it.
/// `peer` may be null. Correctness is checked before the clock runs.
CollectiveFigures measure_collective(Communicator& comm, const CollectiveBenchConfig& config, std::int64_t bytes, MpiPeer* peer);

/// One line for people, and the header above them.
std::string figures_text(const CollectiveFigures& figures);
std::string figures_header(const CollectiveFigures& figures);
/// One object on one line.
std::string figures_json(const CollectiveFigures& figures);

}  // namespace chorale
