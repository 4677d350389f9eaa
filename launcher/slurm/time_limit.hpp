// Slurm's way of writing how long a job may run.
#pragma once
#include <cstdint>
#include <string>

namespace chorale {

/// "90" (minutes), "30:00", "04:00:00", "1-12", "1-12:30", "1-12:30:00" in seconds. Throws UsageError.
std::int64_t seconds_of_time_limit(const std::string& text);
/// As D-HH:MM:SS.
std::string time_limit_text(std::int64_t seconds);

}  // namespace chorale
