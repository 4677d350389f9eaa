#include <chorale/core/data/csv_date.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>

namespace chorale {

namespace {

// Walks a text; every step says whether it found what it wanted.
struct Cursor {
  std::string_view rest;
  int digits = 0;  // of the number read last

  bool number(int least, int most, int& value) {
    value = 0;
    digits = 0;
    while (digits < most && static_cast<std::size_t>(digits) < rest.size()) {
      const char c = rest[static_cast<std::size_t>(digits)];
      if (c < '0' || c > '9') break;
      value = value * 10 + (c - '0');
      ++digits;
    }
    rest.remove_prefix(static_cast<std::size_t>(digits));
    return digits >= least;
  }
  bool skip(char c) {
    if (rest.empty() || rest.front() != c) return false;
    rest.remove_prefix(1);
    return true;
  }
};

bool is_day(int year, int month, int day) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

// Source: H. Hinnant, chrono-compatible low-level date algorithms, days_from_civil.
std::int64_t days_since_1970(int year, int month, int day) {
  const std::int64_t y = year - (month <= 2);
  const std::int64_t era = y / 400, of_era = y - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool read_zone(Cursor& at, double& seconds) {
  if (at.skip('Z') || at.rest.empty()) return true;
  const bool minus = at.skip('-');
  if (!minus && !at.skip('+')) return false;
  int hours = 0, minutes = 0;
  if (!at.number(2, 2, hours) || hours > 14) return false;
  const bool colon = at.skip(':');
  if ((colon || !at.rest.empty()) && (!at.number(2, 2, minutes) || minutes > 59)) return false;
  seconds -= (minus ? -1 : 1) * (hours * 3600 + minutes * 60);
  return true;
}

// What follows the day: nothing, or a time of day.
bool read_time(Cursor& at, double& seconds) {
  seconds = 0;
  if (at.rest.empty()) return true;
  if (!at.skip('T') && !at.skip(' ')) return false;
  int hours = 0, minutes = 0, whole = 0;
  if (!at.number(1, 2, hours) || hours > 23 || !at.skip(':') || !at.number(2, 2, minutes) || minutes > 59) return false;
  if (at.skip(':')) {
    if (!at.number(2, 2, whole) || whole > 60) return false;
    int fraction = 0;
    if (at.skip('.')) {
      if (!at.number(1, 9, fraction)) return false;
      double scale = 1;
      for (int i = 0; i < at.digits; ++i) scale *= 10;
      seconds = fraction / scale;
    }
  }
  seconds += hours * 3600 + minutes * 60 + whole;
  return read_zone(at, seconds) && at.rest.empty();
}

}  // namespace

DateRead read_date(std::string_view text) {
  DateRead read;
  Cursor at{text};
  int a = 0, b = 0, c = 0;
  if (text.size() < 8 || !at.number(1, 4, a)) return read;
  const bool year_first = at.digits == 4;
  if (!year_first && at.digits > 2) return read;
  const char mark = at.rest.empty() ? '\0' : at.rest.front();
  if ((mark != '-' && mark != '/' && mark != '.') || !at.skip(mark) || !at.number(1, 2, b) || !at.skip(mark)) return read;
  if (year_first ? !at.number(1, 2, c) : !at.number(4, 4, c)) return read;
  double time = 0;
  if (!read_time(at, time)) return read;
  const auto fit = [&](DateOrder order, int year, int month, int day) {
    if (!is_day(year, month, day)) return;
    read.fits[static_cast<std::size_t>(order)] = true;
    read.seconds[static_cast<std::size_t>(order)] = static_cast<double>(days_since_1970(year, month, day)) * 86400 + time;
  };
  if (year_first) {
    fit(DateOrder::ymd, a, b, c);
  } else {
    fit(DateOrder::dmy, c, b, a);
    fit(DateOrder::mdy, c, a, b);
  }
  return read;
}

std::string date_text(double seconds) {
  const std::int64_t whole = static_cast<std::int64_t>(std::floor(seconds)), day = (whole >= 0 ? whole : whole - 86399) / 86400,
                     time = whole - day * 86400;
  // Hinnant's civil_from_days.
  const std::int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100), month = (5 * of_year + 2) / 153;
  const int day_of_month = static_cast<int>(of_year - (153 * month + 2) / 5 + 1),
            civil_month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  const int year = static_cast<int>(year_of_era + era * 400 + (civil_month <= 2));
  char text[80];
  if (time == 0)
    std::snprintf(text, sizeof text, "%04d-%02d-%02d", year, civil_month, day_of_month);
  else
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", year, civil_month, day_of_month, static_cast<int>(time / 3600),
                  static_cast<int>(time / 60 % 60), static_cast<int>(time % 60));
  return text;
}

}  // namespace chorale
