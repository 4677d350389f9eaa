// One start of ranks that the doctor looks at, watched with limits: MPI_Init may fail or hang, and so may the launcher.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/doctor_ranks.hpp>
#include <chorale/launcher/doctor/finding.hpp>
#include <chorale/launcher/spawn/child.hpp>

namespace chorale {

/// What became of it.
struct WorldOutcome {
  int expected = 1;
  std::string launcher = {};          // "mpirun"
  std::vector<int> began = {};        // ranks whose process was started and spoke
  std::vector<int> wrong_sizes = {};  // worlds that ranks found themselves in, where that is not all of them
  bool formed = false;                // all ranks are in one world
  int nodes = 1;
  std::map<std::string, nlohmann::json> facts = {};  // by probe
  std::map<std::string, double> seconds = {};        // that each took
  std::string under_way = {};                        // the probe in which it ended
  std::string error = {};                            // of a rank
  std::string missing = {};                          // who had not answered when it was ended: "rank 1 on b has said nothing for 5.0 s"
  std::string trouble = {};                          // with the launcher: "has started no rank within 8 s"
  std::string messages = {};                         // the first that launcher and ranks said
  bool has_hung = false;                             // the launcher, after its ranks had left
  bool is_over = false;                              // all probes were asked
};

struct WorldOrder {
  std::vector<std::string> launcher = {};  // its words, before the program; empty: none
  std::string name = {};                   // how it is called
  ChildEnvironment environment;
  DoctorRanks ranks;
  std::chrono::milliseconds limit;
  std::string folder = {};  // for output
};

/// What a rank has last said of itself.
struct HeardRank {
  std::string host = {};
  std::int64_t process = 0;
  double seconds_ago = 0;
  int awaits = -1;  // the rank that it waits for; -1: none
};
/// Who holds the others up: ranks that are silent, or else the one that most wait for.
std::string missing_text(const std::map<int, HeardRank>& heard);

WorldOutcome watch_world(const WorldOrder& order);

/// Were all ranks started, and in one world?
Finding judge_world(const WorldOutcome& world);
/// Of every probe, in order: what its facts mean, or why there are none.
std::vector<Finding> judge_probes(const WorldOutcome& world);

}  // namespace chorale
