// sharing.jsonl of a collaboration: a line for each tick.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include <chorale/train/collab/affinity.hpp>

namespace chorale {

/// Written by rank 0 alone.
class SharingLog {
 public:
  /// tasks: their names.
  SharingLog(std::filesystem::path file, std::vector<std::string> tasks) : file_(std::move(file)), tasks_(std::move(tasks)) {}
  /// Takes off the lines of later ticks, which are made again. Throws IoError.
  void go_on_after(std::int64_t tick) const;
  void write(const TickNews& news) const;

 private:
  std::filesystem::path file_;
  std::vector<std::string> tasks_;
};

/// values: tasks by tasks, below 0 where it is not known, which becomes null; or none at all.
nlohmann::ordered_json affinity_json(const std::vector<std::string>& tasks, const std::vector<double>& values);

}  // namespace chorale
