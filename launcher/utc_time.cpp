#include <chorale/launcher/utc_time.hpp>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace chorale {

std::string utc_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  char all[48];
  std::snprintf(all, sizeof all, "%s.%03dZ", text, static_cast<int>(now.tv_nsec / 1000000));
  return all;
}

double seconds_since(const std::string& utc) {
  std::tm parts{};
  const char* rest = ::strptime(utc.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!rest || *rest != '.') return -1;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const double then = static_cast<double>(::timegm(&parts)) + std::strtod(rest, nullptr);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 - then;
}

}  // namespace chorale
