// The time of day in files that several nodes write: UTC, milliseconds, sortable.
#pragma once
#include <string>

namespace chorale {

/// "2026-05-04T09:30:00.125Z"
std::string utc_now();
/// Seconds since then by this machine's clock; negative where the text is no such time.
double seconds_since(const std::string& utc);

}  // namespace chorale
