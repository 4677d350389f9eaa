// What the readers of arrays share: sizes that are checked, bytes in this machine's order.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/io/stored_array.hpp>

namespace chorale {

/// An array of these extents: the bytes of `file` from `begin` on, exactly its size, in big-endian or little-endian order.
/// `where` begins the text of a DataError: too many dimensions, an extent or a product beyond what can be, another number of bytes.
ArrayView view_of(StoredType type, const std::vector<std::uint64_t>& extents, std::string_view file, std::size_t begin, bool big_endian,
                  const std::string& where);

}  // namespace chorale
