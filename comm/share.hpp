// How elements are cut over ranks, and what they weigh. Pure functions.
#pragma once
#include <algorithm>
#include <cstdint>
#include <utility>

#include <chorale/core/base/dtype.hpp>

namespace chorale {

/// Share i of n of the elements [first, last). Shares begin on cache lines where `first` does.
inline std::pair<std::int64_t, std::int64_t> share(std::int64_t first, std::int64_t last, int i, int n) {
  constexpr std::int64_t kGrain = 64;  // elements
  const std::int64_t grains = (last - first + kGrain - 1) / kGrain;
  auto border = [&](int at) { return std::min(last, first + grains * at / n * kGrain); };
  return {border(i), border(i + 1)};
}

inline std::size_t width(DType type, std::int64_t elements) { return static_cast<std::size_t>(elements) * size_bytes(type); }

}  // namespace chorale
