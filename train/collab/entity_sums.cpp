#include <chorale/train/collab/entity_sums.hpp>

#include <cmath>

#include <chorale/core/base/random.hpp>

namespace chorale {

float* EntitySums::sum_of(std::int32_t entity, std::int32_t part) {
  const std::uint64_t key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(part)) << 32 | static_cast<std::uint32_t>(entity);
  const auto [it, is_new] = place_.emplace(key, entities_.size());
  if (is_new) {
    entities_.push_back(entity), parts_.push_back(part), counts_.push_back(0);
    sums_.resize(sums_.size() + static_cast<std::size_t>(width_), 0.0f);
  }
  ++counts_[it->second];
  return sums_.data() + it->second * static_cast<std::size_t>(width_);
}

void EntitySums::clear() { place_.clear(), entities_.clear(), parts_.clear(), counts_.clear(), sums_.clear(); }

void EntitySums::bound(double clip, double noise, std::uint64_t key) {
  if (clip <= 0) return;
  const auto width = static_cast<std::size_t>(width_);
  for (std::size_t i = 0; i < entities_.size(); ++i) {
    float* sum = sums_.data() + i * width;
    const double n = counts_[i];
    double square = 0;
    for (std::size_t j = 0; j < width; ++j) square += std::pow(static_cast<double>(sum[j]) / n, 2);
    const double scale = square > clip * clip ? clip / std::sqrt(square) : 1;
    RandomStream random(mix(key, mix(static_cast<std::uint64_t>(entities_[i]), static_cast<std::uint64_t>(parts_[i]))));
    for (std::size_t j = 0; j < width; ++j)
      sum[j] = static_cast<float>(n * (static_cast<double>(sum[j]) / n * scale + (noise > 0 ? noise * clip * random.normal() : 0)));
  }
}

std::vector<std::int32_t> EntitySums::packed(RowWire wire) const {
  const auto words = static_cast<std::size_t>(entry_words(width_, wire)), width = static_cast<std::size_t>(width_);
  std::vector<std::int32_t> out(entities_.size() * words);
  for (std::size_t i = 0; i < entities_.size(); ++i) {
    std::int32_t* entry = out.data() + i * words;
    entry[0] = entities_[i], entry[1] = parts_[i], entry[2] = counts_[i];
    encode_row(wire, std::span(sums_.data() + i * width, width), entry + 3);
  }
  return out;
}

}  // namespace chorale
