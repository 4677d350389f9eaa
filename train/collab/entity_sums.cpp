#include <chorale/train/collab/entity_sums.hpp>

#include <cstring>

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

std::vector<std::int32_t> EntitySums::packed() const {
  const auto words = static_cast<std::size_t>(entry_words(width_));
  std::vector<std::int32_t> out(entities_.size() * words);
  for (std::size_t i = 0; i < entities_.size(); ++i) {
    std::int32_t* entry = out.data() + i * words;
    entry[0] = entities_[i], entry[1] = parts_[i], entry[2] = counts_[i];
    std::memcpy(entry + 3, sums_.data() + i * static_cast<std::size_t>(width_), static_cast<std::size_t>(width_) * sizeof(float));
  }
  return out;
}

}  // namespace chorale
