// Words of one column, numbered by first appearance.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// One thread. Memory: the different words, and about 40 bytes for each.
class WordTable {
 public:
  WordTable() { clear(); }
  void clear();
  /// The word's number; a new word gets the next one.
  std::int32_t code(std::string_view word);
  std::int32_t size() const { return static_cast<std::int32_t>(entries_.size()); }
  std::string_view word(std::int32_t code) const {
    const Entry& entry = entries_[static_cast<std::size_t>(code)];
    return {letters_.data() + entry.offset, entry.bytes};
  }
  std::uint64_t hash(std::int32_t code) const { return entries_[static_cast<std::size_t>(code)].hash; }
  std::vector<std::string> words() const;

 private:
  struct Entry {
    std::uint64_t hash;
    std::size_t offset;
    std::size_t bytes;
  };
  void grow();
  std::vector<std::int32_t> slots_;  // open addressing, -1 is free, a power of two
  std::vector<Entry> entries_;
  std::string letters_;
};

}  // namespace chorale
