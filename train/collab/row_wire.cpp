#include <chorale/train/collab/row_wire.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

/// To nearest even; what is not finite stays so.
std::uint16_t bf16_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7F800000u) == 0x7F800000u) return static_cast<std::uint16_t>(bits >> 16 | ((bits & 0xFFFFu) != 0 ? 0x40u : 0u));
  return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

float scale_of(std::span<const float> row) {
  float most = 0;
  for (const float v : row) most = std::max(most, std::fabs(v));
  return most / 127;
}

}  // namespace

RowWire parse_row_wire(const std::string& text) {
  if (text == "f32") return RowWire::f32;
  if (text == "bf16") return RowWire::bf16;
  if (text == "int8") return RowWire::int8;
  throw UsageError("rows travel as f32, bf16 or int8, not as '" + text + "'");
}

std::int64_t row_words(RowWire wire, std::int64_t width) {
  if (wire == RowWire::bf16) return (width + 1) / 2;
  return wire == RowWire::int8 ? 1 + (width + 3) / 4 : width;
}

void encode_row(RowWire wire, std::span<const float> row, std::int32_t* words) {
  if (wire == RowWire::f32) {
    std::memcpy(words, row.data(), row.size_bytes());
    return;
  }
  std::fill_n(words, row_words(wire, static_cast<std::int64_t>(row.size())), 0);
  auto* bytes = reinterpret_cast<std::byte*>(words);
  if (wire == RowWire::bf16) {
    for (std::size_t j = 0; j < row.size(); ++j) {
      const std::uint16_t half = bf16_of(row[j]);
      std::memcpy(bytes + 2 * j, &half, sizeof half);
    }
    return;
  }
  const float scale = scale_of(row);
  std::memcpy(bytes, &scale, sizeof scale);
  for (std::size_t j = 0; j < row.size() && scale > 0; ++j) {
    const auto q = static_cast<std::int8_t>(std::clamp(std::nearbyint(row[j] / scale), -127.0f, 127.0f));
    std::memcpy(bytes + sizeof scale + j, &q, 1);
  }
}

void decode_row(RowWire wire, const std::int32_t* words, std::span<float> row) {
  const auto* bytes = reinterpret_cast<const std::byte*>(words);
  if (wire == RowWire::f32) {
    std::memcpy(row.data(), words, row.size_bytes());
  } else if (wire == RowWire::bf16) {
    for (std::size_t j = 0; j < row.size(); ++j) {
      std::uint16_t half = 0;
      std::memcpy(&half, bytes + 2 * j, sizeof half);
      row[j] = std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
    }
  } else {
    float scale = 0;
    std::memcpy(&scale, bytes, sizeof scale);
    for (std::size_t j = 0; j < row.size(); ++j) {
      std::int8_t q = 0;
      std::memcpy(&q, bytes + sizeof scale + j, 1);
      row[j] = scale * static_cast<float>(q);
    }
  }
}

void round_row(RowWire wire, std::span<float> row) {
  if (wire == RowWire::f32) return;
  std::vector<std::int32_t> words(static_cast<std::size_t>(row_words(wire, static_cast<std::int64_t>(row.size()))));
  encode_row(wire, row, words.data());
  decode_row(wire, words.data(), row);
}

}  // namespace chorale
