// Extents of a row as recipes write them.
#pragma once
#include <string_view>

#include <chorale/core/base/shape.hpp>

namespace chorale {

/// "28x28x1": one to five whole numbers of at least 1. Empty text: a shape without extents. Throws UsageError that says what is allowed.
Shape parse_extents(std::string_view text);

}  // namespace chorale
