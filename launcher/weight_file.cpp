#include <chorale/launcher/weight_file.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/core/tensor/tensor.hpp>

namespace chorale {

namespace {

/// What the * stands for; nothing where the pattern does not mean the name.
std::optional<std::string> star_of(const std::string& pattern, const std::string& name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string::npos) return pattern == name ? std::optional<std::string>("") : std::nullopt;
  const std::string before = pattern.substr(0, star), after = pattern.substr(star + 1);
  if (name.size() < before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after)) return std::nullopt;
  return name.substr(before.size(), name.size() - before.size() - after.size());
}

template <class From>
void read_numbers(const NamedTensor& from, DType dtype, std::byte* to) {
  with_float_type(dtype, [&]<class T>() {
    for (std::int64_t i = 0; i < from.shape.elements(); ++i) {
      From value;
      std::memcpy(&value, static_cast<const std::byte*>(from.data) + i * static_cast<std::int64_t>(sizeof value), sizeof value);
      const T out = static_cast<T>(value);
      std::memcpy(to + i * static_cast<std::int64_t>(sizeof out), &out, sizeof out);
    }
  });
}

/// Whether the type is one that read_numbers() reads.
bool read_any(const NamedTensor& from, DType dtype, std::byte* to) {
  switch (from.dtype) {
    case DType::f32:
      return read_numbers<float>(from, dtype, to), true;
    case DType::f64:
      return read_numbers<double>(from, dtype, to), true;
    case DType::i32:
      return read_numbers<std::int32_t>(from, dtype, to), true;
    case DType::i64:
      return read_numbers<std::int64_t>(from, dtype, to), true;
    case DType::u8:
      return read_numbers<std::uint8_t>(from, dtype, to), true;
    default:
      return false;
  }
}

}  // namespace

NameMap::NameMap(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    const std::string from = word.substr(0, equals), to = equals == std::string::npos ? "" : word.substr(equals + 1);
    const auto stars = std::ranges::count(from, '*');
    if (from.empty() || to.empty() || stars > 1 || stars != std::ranges::count(to, '*'))
      throw UsageError("train.init_map: '" + word +
                       "' is refused: write NAME=NAME, the name in the file first, each with one * or none: features.*=0.*");
    rules_.emplace_back(from, to);
  }
}

std::string NameMap::operator()(const std::string& name) const {
  for (const auto& [from, to] : rules_) {
    const std::optional<std::string> star = star_of(from, name);
    if (!star) continue;
    const std::size_t at = to.find('*');
    return at == std::string::npos ? to : to.substr(0, at) + *star + to.substr(at + 1);
  }
  return name;
}

void NameMap::require_use(const std::vector<std::string>& names) const {
  for (const auto& [from, to] : rules_) {
    if (std::ranges::any_of(names, [&](const std::string& name) { return star_of(from, name).has_value(); })) continue;
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    throw UsageError("train.init_map: '" + from + "' means no tensor of the file, which has " + all);
  }
}

WeightFile::WeightFile(const std::filesystem::path& path, const NameMap& map, DType dtype) : file_(path) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : file_.tensors()) names.push_back(tensor.name);
  map.require_use(names);
  for (NamedTensor tensor : file_.tensors()) {
    tensor.name = map(tensor.name);
    if (tensor.dtype != dtype) {
      std::vector<std::byte> memory(static_cast<std::size_t>(tensor.shape.elements()) * size_bytes(dtype));
      if (read_any(tensor, dtype, memory.data())) {
        converted_.push_back(std::move(memory));
        tensor.dtype = dtype, tensor.data = converted_.back().data();
      }
    }
    tensors_.push_back(std::move(tensor));
  }
  sort_by_name(tensors_);
}

}  // namespace chorale
