// Gzip files, also of several members one after another, as `cat a.gz b.gz` makes them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace chorale {

/// By the two magic bytes, never by the name.
bool is_gzip(std::string_view bytes);

/// Writes the unpacked bytes to `descriptor` and returns their number; uses 1 MiB of memory whatever the size.
/// Throws DataError for a damaged or cut file, IoError when writing fails; both name `path`, the packed file.
std::int64_t inflate_gzip(std::string_view packed, int descriptor, const std::string& path);

}  // namespace chorale
