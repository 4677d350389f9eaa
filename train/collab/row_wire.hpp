// How a vector travels: as it is, in half the bytes, or in a quarter of them.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace chorale {

enum class RowWire : std::uint8_t {
  f32,
  bf16,  // 8 bits of significand, to nearest even
  int8,  // -127 to 127 times a scale of the vector's own, its largest magnitude / 127
};
/// Throws UsageError with the three names.
RowWire parse_row_wire(const std::string& text);

/// Words of 4 bytes that a vector takes: width, width / 2, or 1 + width / 4, rounded up.
std::int64_t row_words(RowWire wire, std::int64_t width);
/// words: row_words() of them.
void encode_row(RowWire wire, std::span<const float> row, std::int32_t* words);
void decode_row(RowWire wire, const std::int32_t* words, std::span<float> row);
/// What arrives of it.
void round_row(RowWire wire, std::span<float> row);

}  // namespace chorale
