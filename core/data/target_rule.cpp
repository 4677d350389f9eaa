#include <chorale/core/data/target_rule.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

TargetRule::TargetRule(const std::vector<std::string>& words) : words_(words) {
  if (words.empty() || words[0].empty() || std::string_view("<>").find(words[0][0]) == std::string_view::npos) return;
  // ">= 13" and ">=13" are the same.
  const std::size_t marks = words[0].size() > 1 && words[0][1] == '=' ? 2 : 1;
  std::string bound = words[0].substr(marks);
  if (bound.empty() && words.size() == 2) bound = words[1];
  const std::optional<double> value = number_of(bound);
  if (!value || words.size() > (words[0].size() > marks ? 1u : 2u))
    throw UsageError("data.positive = " + words[0] + (words.size() > 1 ? " " + words[1] : "") +
                     " is refused: expected a comparison with one number, as in >= 13, or values of the target");
  comparison_ = words[0].substr(0, marks);
  bound_ = *value;
}

bool TargetRule::holds(double value) const {
  if (comparison_ == ">=") return value >= bound_;
  if (comparison_ == ">") return value > bound_;
  if (comparison_ == "<=") return value <= bound_;
  if (comparison_ == "<") return value < bound_;
  return std::any_of(words_.begin(), words_.end(), [&](const std::string& word) { return number_of(word) == value; });
}

bool TargetRule::holds(std::string_view text) const {
  return comparison_.empty() && std::find(words_.begin(), words_.end(), text) != words_.end();
}

}  // namespace chorale
