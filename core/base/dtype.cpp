#include <chorale/core/base/dtype.hpp>

#include <array>
#include <cctype>
#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
constexpr std::array<std::string_view, 7> kNames = {"f32", "f64", "bf16", "f16", "i32", "i64", "u8"};
}

std::string_view name(DType type) { return kNames[static_cast<std::size_t>(type)]; }

DType parse_dtype(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == lower) return static_cast<DType>(i);
  throw UsageError("element type '" + std::string(text) + "' is unknown; use f32, f64, bf16, f16, i32, i64 or u8");
}

}  // namespace chorale
