// NPY, the format of numpy.save, versions 1 to 3: a magic string, a dictionary in the syntax of Python, elements. Objects (pickled Python)
// are never read: loading them runs code.
// Source: NumPy Enhancement Proposal 1, and numpy.lib.format.
#pragma once
#include <string>
#include <string_view>

#include <chorale/core/io/stored_array.hpp>

namespace chorale {

bool is_npy(std::string_view bytes);

/// The elements of a whole file's bytes, as parse_npy takes and refuses them.
ArrayView view_npy(std::string_view bytes, const std::string& path);

/// The whole file's bytes, unpacked. Integers of 1 to 8 bytes, floats of 2 to 8, bool as u8 (every byte 0 or 1), little- or big-endian,
/// in C order; at most six dimensions. Throws DataError that begins with `path`: anything else, Fortran order too.
StoredArray parse_npy(std::string_view bytes, const std::string& path);

}  // namespace chorale
