// Changes bytes at random: a function of the seed and of what it is given, nothing else.
#pragma once
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chorale::fuzz {

inline constexpr std::size_t kLongestInput = 1 << 16;

class Mutator {
 public:
  Mutator(std::uint64_t seed, std::span<const std::string_view> words) : random_(seed), words_(words) {}
  /// One of the pool (not empty), changed one to eight times; at most kLongestInput bytes.
  std::string next(const std::vector<std::string>& pool);

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  void change(std::string& text, const std::vector<std::string>& pool);
  void change_byte(std::string& text);
  void put_integer(std::string& text);
  void put_digits(std::string& text);
  void repeat(std::string& text);
  void put_in(std::string& text, std::string_view piece);
  std::mt19937_64 random_;
  std::span<const std::string_view> words_;
};

}  // namespace chorale::fuzz
