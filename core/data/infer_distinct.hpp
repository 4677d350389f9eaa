// How many different values: exact while they are few, an estimate beyond.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace chorale {

/// 64 well mixed bits of a text or of a number's bits, the same on every machine.
std::uint64_t hash_bytes(std::string_view text);
std::uint64_t hash_word(std::uint64_t bits);

/// The K smallest hashes. The union of two is the same whoever saw which value and in whichever order, so the count does not depend on
/// pieces or ranks. Source: Bar-Yossef et al., Counting Distinct Elements in a Data Stream, RANDOM 2002 (k minimum values).
class Distinct {
 public:
  static constexpr std::size_t kKept = 32768;  // 0.6 % standard error beyond

  void add(std::uint64_t hash) {
    if (hash >= limit_) return;
    const std::size_t recent = hash & (kRecent - 1);
    if (recent_.empty()) recent_.assign(kRecent, 0);
    if (recent_[recent] == hash) return;
    recent_[recent] = hash;
    insert(hash);
  }
  void add(const Distinct& other);
  /// Sorted, at most kKept: all there is to a Distinct.
  std::vector<std::uint64_t> hashes() const;
  bool is_exact() const { return hashes().size() < kKept; }
  /// The number of different values, exact below kKept.
  std::int64_t count() const;

 private:
  static constexpr std::size_t kRecent = 1024;
  void insert(std::uint64_t hash);
  std::vector<std::uint64_t> recent_;  // hashes seen lately: most values are repeats
  std::vector<std::uint64_t> kept_;    // unsorted, with repeats, shrunk now and then
  std::uint64_t limit_ = ~std::uint64_t{0};
  std::size_t shrink_at_ = 4096;
};

}  // namespace chorale
