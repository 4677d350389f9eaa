// The folder of runs: do all ranks see the same one, can it be written, and how much room is there?
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct DirectoryFacts {
  int rank = 0;
  std::string host = {};
  std::string folder = {};                         // the one tried: the directory, or where it would be made
  bool exists = true;                              // the directory itself is there
  std::string unread = {};                         // why what rank 0 wrote could not be read; empty: it was
  std::string unwritten = {};                      // why nothing could be written; empty: it was, or another rank of the host has tried
  std::int64_t free_bytes = -1, free_inodes = -1;  // -1: not counted there
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DirectoryFacts, rank, host, folder, exists, unread, unwritten, free_bytes, free_inodes)

/// run_directory, free_space.
std::vector<Finding> judge_directory(const std::vector<DirectoryFacts>& ranks);

/// Where rank 0 may have left a file when it was ended in the probe: in the directory or above it.
std::vector<std::string> nonce_files(const std::string& directory, const std::string& nonce);

}  // namespace chorale
