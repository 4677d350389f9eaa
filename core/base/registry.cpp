#include <chorale/core/base/registry.hpp>

#include <cctype>

namespace chorale {

std::string nearest_name(std::string_view word, const std::vector<std::string>& known) {
  auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::string best;
  // Two edits, a third of a long word, one of a word so short that two leave little of it: bce is not mae.
  const std::size_t most = word.size() <= 3 ? 1 : std::max<std::size_t>(2, word.size() / 3);
  std::size_t best_distance = most + 1;
  for (const std::string& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);  // Levenshtein, one row at a time
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t cost = diagonal + (lower(word[i]) != lower(candidate[j]));
        diagonal = row[j + 1];
        row[j + 1] = std::min({cost, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) best_distance = row.back(), best = candidate;
  }
  return best;
}

}  // namespace chorale
