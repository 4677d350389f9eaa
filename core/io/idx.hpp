// IDX, the format of MNIST and its kin: two zero bytes, type, number of dimensions, extents as big-endian u32, elements in big-endian
// order. Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, "the IDX file format".
#pragma once
#include <string>
#include <string_view>

#include <chorale/core/io/stored_array.hpp>

namespace chorale {

/// By two zero bytes and a known type.
bool is_idx(std::string_view bytes);

/// The elements of a whole file's bytes, unpacked. At most six dimensions. Throws DataError that begins with `path` and says the offset.
ArrayView view_idx(std::string_view bytes, const std::string& path);

/// The whole file's bytes, unpacked. At most six dimensions. Throws DataError that begins with `path`.
StoredArray parse_idx(std::string_view bytes, const std::string& path);

}  // namespace chorale
