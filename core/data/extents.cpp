#include <chorale/core/data/extents.hpp>

#include <charconv>
#include <string>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>

namespace chorale {

Shape parse_extents(std::string_view text) {
  std::vector<std::int64_t> dims;
  std::int64_t elements = 1;
  for (std::string_view rest = text; !text.empty();) {
    std::int64_t extent = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    const std::string_view behind = rest.substr(static_cast<std::size_t>(end - rest.data()));
    const bool is_last = behind.empty();
    if (error != std::errc() || extent < 1 || (!is_last && behind[0] != 'x') || __builtin_mul_overflow(elements, extent, &elements) ||
        elements > std::int64_t{1} << 40 || dims.size() + 1 >= static_cast<std::size_t>(Shape::kMaxRank))
      throw UsageError("'" + excerpt(text) + "' is refused: expected one to five extents of at least 1 with an x between, as 28x28x1");
    dims.push_back(extent);
    if (is_last) break;
    rest = behind.substr(1);
  }
  return Shape(dims);
}

}  // namespace chorale
