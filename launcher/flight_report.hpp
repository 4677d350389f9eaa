// What the flight records of a run's ranks (logs/flight_rank_N.json) say together: who diverged first, and where.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>

namespace chorale {

/// {"records", "first": {"rank", "where", "why"}, "ranks": [{"rank", "reason", "place", "step", "last", "time"}]}: of the newest attempt
/// that has left records, in the folder `records` of the run. first is null when the ranks ended alike. Throws UsageError where there is no
/// record, DataError for a damaged one.
nlohmann::ordered_json flight_report(const std::filesystem::path& run);

}  // namespace chorale
