#include <chorale/core/nn/layer_entry.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace chorale {

const std::string* LayerArguments::find(std::size_t position, const std::string& name) {
  asked_.push_back(name);
  used_ = std::max(used_, position + 1);
  if (auto it = named_.find(name); it != named_.end()) return &it->second;
  return position < positional_.size() ? &positional_[position] : nullptr;
}

double LayerArguments::number(std::size_t position, const std::string& name, double fallback, double min, double max) {
  const std::string* text = find(position, name);
  if (!text) return fallback;
  char* end = nullptr;
  const double value = std::strtod(text->c_str(), &end);
  if (text->empty() || *end || !(value >= min && value <= max))
    throw UsageError(layer_ + "(" + name + " = " + *text + ") is refused: expected a number from " + std::to_string(min) + " to " +
                     std::to_string(max));
  return value;
}

std::int64_t LayerArguments::count(std::size_t position, const std::string& name) {
  const double value = number(position, name, 0, 0, 1 << 30);
  if (value < 1 || value != std::floor(value))
    throw UsageError(layer_ + " needs " + name + ", a whole number of at least 1: " + layer_ + "(128)");
  return static_cast<std::int64_t>(value);
}

namespace {
/// "3x5" as numbers of at least `min`; nothing where it is none.
std::optional<std::vector<std::int64_t>> extents_of(std::string_view text, std::int64_t min) {
  std::vector<std::int64_t> out;
  while (true) {
    const std::string_view part = text.substr(0, text.find('x'));
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value < min || value > 1 << 20 || out.size() == Shape::kMaxRank)
      return {};
    out.push_back(value);
    if (part.size() == text.size()) return out;
    text.remove_prefix(part.size() + 1);
  }
}
}  // namespace

std::array<std::int64_t, 2> LayerArguments::pair(std::size_t position, const std::string& name, std::optional<std::int64_t> fallback,
                                                 std::int64_t min) {
  const std::string* text = find(position, name);
  if (!text && fallback) return {*fallback, *fallback};
  const std::string wanted = "whole numbers of at least " + std::to_string(min) + ": " + name + "=3 or " + name + "=3x5";
  if (!text) throw UsageError(layer_ + " needs " + name + ", " + wanted);
  const auto found = extents_of(*text, min);
  if (!found || found->size() > 2) throw UsageError(layer_ + "(" + name + " = " + *text + ") is refused: expected " + wanted);
  return {found->front(), found->back()};
}

Shape LayerArguments::shape(std::size_t position, const std::string& name) {
  const std::string* text = find(position, name);
  const auto found = text ? extents_of(*text, 1) : std::nullopt;
  if (!found) throw UsageError(layer_ + " needs " + name + ", at most six whole numbers of at least 1: " + layer_ + "(28x28x1)");
  return Shape(*found);
}

bool LayerArguments::flag(const std::string& name, bool fallback) {
  asked_.push_back(name);
  const auto it = named_.find(name);
  if (it == named_.end()) return fallback;
  if (it->second == "true") return true;
  if (it->second == "false") return false;
  throw UsageError(layer_ + "(" + name + " = " + it->second + ") is refused: expected true or false");
}

void LayerArguments::finish() const {
  if (positional_.size() > used_)
    throw UsageError(layer_ + " takes at most " + std::to_string(used_) + " arguments, got " + std::to_string(positional_.size()));
  for (const auto& [name, value] : named_) {
    if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
    const std::string near = nearest_name(name, asked_);
    throw UsageError(layer_ + " has no argument '" + name + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
}

}  // namespace chorale
