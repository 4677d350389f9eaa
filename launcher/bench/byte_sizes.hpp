// The --sizes of a benchmark of collectives. Pure function.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace chorale {

/// "4:256M" doubles from the first to the last, "4,1K,26M" is a list; K, M and G are 2^10, 2^20, 2^30. Bytes, in the order given.
/// Throws UsageError with the word that is not a size.
std::vector<std::int64_t> parse_byte_sizes(std::string_view text);

}  // namespace chorale
