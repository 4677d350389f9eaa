// Whole safetensors files; and the header alone, with the length that fits it, so that mutations of the text get past the length.
#include <algorithm>
#include <array>
#include <set>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/safetensors_file.hpp>
#include <chorale/core/io/safetensors_header.hpp>

#include "engine.hpp"
#include "input_file.hpp"

namespace chorale::fuzz {

namespace {

constexpr std::array<std::string_view, 14> kWords = {
    "{",       "}",  "[",   "]", "\"__metadata__\":", "\"dtype\":\"F32\"", "\"shape\":[1]", "\"data_offsets\":[0,4]", "\"BF16\"", "\\u0000",
    "\\ud800", "-1", "1e3", ","};

std::uint64_t bytes_of(const Shape& shape, DType dtype) { return static_cast<std::uint64_t>(shape.elements()) * size_bytes(dtype); }

/// Tensors lie one behind the other from 0 to the end.
void check(const SafetensorsHeader& header, std::uint64_t data_bytes) {
  std::set<std::pair<std::uint64_t, std::uint64_t>> ranges;
  std::set<std::string> names;
  std::uint64_t sum = 0;
  for (const SafetensorsHeader::Entry& e : header.entries) {
    require(e.begin <= e.end && e.end <= data_bytes, "a tensor lies outside the file");
    require(e.end - e.begin == bytes_of(e.shape, e.dtype), "a tensor has other bytes than its shape");
    require(names.insert(e.name).second, "two tensors have one name");
    ranges.insert({e.begin, e.end});
    sum += e.end - e.begin;
  }
  require(sum == data_bytes, "holes or overlaps are accepted");
  std::uint64_t end = 0;
  for (const auto& [first, last] : ranges) {
    require(first == end || first == last, "holes or overlaps are accepted");
    end = std::max(end, last);
  }
}

void read_header(std::string_view input) {
  if (input.size() < 8) return;
  input.remove_prefix(8);
  const std::size_t end = input.rfind('}');
  const std::string_view text = input.substr(0, end == std::string_view::npos ? input.size() : end + 1);
  const std::uint64_t data_bytes = input.size() - text.size();
  answer_of<CheckpointError>([&] { check(parse_safetensors_header(text, data_bytes, "file"), data_bytes); });
}

}  // namespace

std::span<const std::string_view> words() { return kWords; }

std::string answer_to(std::string_view input) {
  read_header(input);
  const InputFile file(input);
  return answer_of<CheckpointError>([&] {
    const SafetensorsFile read(file.path());
    unsigned sum = 0;
    for (const NamedTensor& tensor : read.tensors()) {
      require(reinterpret_cast<std::uintptr_t>(tensor.data) % size_bytes(tensor.dtype) == 0, "a tensor is not aligned");
      require(read.find(tensor.name) == &tensor, "a tensor is not found by its name");
      for (const std::byte b : tensor.content()) sum += static_cast<unsigned>(b);  // all of it can be read
    }
    require(sum <= 255 * input.size(), "more bytes than the file has");
  });
}

}  // namespace chorale::fuzz
