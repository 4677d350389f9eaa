#include <chorale/core/data/csv_words.hpp>

#include <chorale/core/data/infer_distinct.hpp>

namespace chorale {

void WordTable::clear() {
  slots_.assign(256, -1);
  entries_.clear();
  letters_.clear();
}

std::int32_t WordTable::code(std::string_view word) {
  const std::uint64_t hash = hash_bytes(word);
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash & mask;
  for (; slots_[slot] >= 0; slot = (slot + 1) & mask) {
    const Entry& entry = entries_[static_cast<std::size_t>(slots_[slot])];
    if (entry.hash == hash && this->word(slots_[slot]) == word) return slots_[slot];
  }
  const std::int32_t fresh = size();
  slots_[slot] = fresh;
  entries_.push_back({hash, letters_.size(), word.size()});
  letters_.append(word);
  if (entries_.size() * 2 > slots_.size()) grow();
  return fresh;
}

std::vector<std::string> WordTable::words() const {
  std::vector<std::string> out;
  out.reserve(entries_.size());
  for (std::int32_t i = 0; i < size(); ++i) out.emplace_back(word(i));
  return out;
}

void WordTable::grow() {
  slots_.assign(slots_.size() * 4, -1);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t slot = entries_[i].hash & mask;
    while (slots_[slot] >= 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<std::int32_t>(i);
  }
}

}  // namespace chorale
