// The ranks that the doctor looks at: this program started again, by mpirun, srun, or alone. They tell what they find line by line, so
// that what was found before a hang is known.
#pragma once
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/base/option.hpp>
#include <chorale/launcher/doctor/probe.hpp>

namespace chorale {

/// `chorale doctor ranks ...`, which only the doctor calls.
constexpr const char* kDoctorRanks = "ranks";

struct DoctorRanks {
  std::string backend = "mpi";  // or threads, of one process
  std::int64_t expected = 1;    // ranks
  std::int64_t seconds = 20;    // after which a rank ends itself, wherever it hangs
  ProbeOrder order;

  /// The words that start them.
  std::vector<std::string> words() const;
};

int run_doctor_ranks(std::span<const std::string> arguments);

/// What a line of a rank's output says; null for lines that are not ours.
nlohmann::json parse_rank_line(const std::string& line);

}  // namespace chorale
