// What the header of a safetensors file says, checked.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/base/dtype.hpp>
#include <chorale/core/base/shape.hpp>

namespace chorale {

struct SafetensorsHeader {
  struct Entry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    std::uint64_t begin = 0, end = 0;  // in the data, which follow the header
  };
  std::vector<Entry> entries;  // by name
  std::map<std::string, std::string> metadata;
};

/// The longest header that is read, some 100,000 tensors: a damaged length asks for more. The reference implementation reads 100 MB.
inline constexpr std::uint64_t kLongestHeader = 16 << 20;

/// `text` is the JSON after the length, `data_bytes` what follows it. `path` is for the words of a CheckpointError.
SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes, const std::string& path);

}  // namespace chorale
