// Where pieces of a file meet. Any rank can read piece i alone once it knows whether the border before it lies inside a quoted field;
// that is the composition of one small map for each piece before it, and maps can be made for pieces in any order, by anybody.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace chorale {

/// What a piece does to the quoting: is its end inside a quoted field, if its begin is outside (bit 0), if it is inside (bit 1).
using QuoteMap = std::uint8_t;

/// The border for a wanted offset: moved behind a run of quotes, so that no escaped pair is cut and the byte behind a border is never a
/// quote.
std::size_t border_at(std::string_view text, std::size_t offset);

/// The map of [begin, end), both borders. Looks at quotes only (memchr), at about the speed of memory.
QuoteMap quote_map(std::string_view text, std::size_t begin, std::size_t end, char separator);

/// Is the end of these maps, in order from the first byte of a file, inside a quoted field?
bool ends_inside(std::span<const QuoteMap> maps);

/// The first record that starts in [border, stop), or `stop` when none does.
std::size_t first_record(std::string_view text, std::size_t border, std::size_t stop, bool inside, char separator);

}  // namespace chorale
