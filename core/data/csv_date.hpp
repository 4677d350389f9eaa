// Dates as people write them, to seconds since 1970-01-01 00:00 UTC.
#pragma once
#include <array>
#include <string>
#include <string_view>

#include <chorale/core/data/table.hpp>

namespace chorale {

/// Which orders a text can be read in; 03/04/2011 has two.
struct DateRead {
  std::array<bool, 3> fits{};       // by DateOrder
  std::array<double, 3> seconds{};  // where it fits
  bool any() const { return fits[0] || fits[1] || fits[2]; }
};

/// Day: 2011-12-31, 2011/12/31, 31.12.2011, 31/12/2011, 12/31/2011 (two-digit years are refused: their century is a guess).
/// Then, after a blank or T, optionally HH:MM[:SS[.fraction]], and Z or +HH[:MM]. Without a zone the time is taken as UTC.
DateRead read_date(std::string_view text);

/// "2011-12-31", with "T10:20:30" when the time is not midnight; what read_date reads back to the second.
std::string date_text(double seconds);

}  // namespace chorale
