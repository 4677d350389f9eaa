// data.positive: which values of the target are the class 1 of two, for targets that a file holds in finer form.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

/// Made of words: ">= 13", "> 0.5", "< 18", "<= 2", or the values themselves, "Never-married" or "7 9". Empty: the target's own classes.
class TargetRule {
 public:
  TargetRule() = default;
  /// Throws UsageError that says what is allowed.
  explicit TargetRule(const std::vector<std::string>& words);
  bool is_empty() const { return words_.empty(); }
  /// A value of the target, as a number or as a text, is class 1. A text never meets a comparison.
  bool holds(double value) const;
  bool holds(std::string_view text) const;
  bool compares() const { return !comparison_.empty(); }
  const std::vector<std::string>& words() const { return words_; }

 private:
  std::vector<std::string> words_;
  std::string comparison_;  // ">=", ">", "<", "<="; empty: values
  double bound_ = 0;
};

}  // namespace chorale
