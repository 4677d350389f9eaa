// What may be said of one task of a study: one rule, one sentence.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include <chorale/launcher/collab/study_statistics.hpp>

namespace chorale {

enum class Verdict {
  gain,    // better than matched, shuffled and untrained, as far as they say something: each interval above 0, the largest p after Holm's
           // correction below 0.05
  harm,    // the interval against matched lies below 0
  none,    // neither was shown
  unknown  // an arm that the rule needs was not run
};

/// Gains are collab's over that arm: above 0 where collab is better, whichever way the metric counts.
struct VerdictCase {
  std::string task, metric;
  double collab = 0, matched = 0;  // means over seeds
  std::optional<Difference> over_matched = {}, over_shuffled = {}, over_untrained = {};
  std::string no_shuffled = {};  // why that arm says nothing of what was studied, and is not asked for; empty: it is
  double p_holm = 1;             // of largest_p(), corrected over tasks
  std::int64_t tasks = 1;        // that Holm's correction is over
};

/// A gain needs all three, so the largest counts. NaN where an arm is missing.
double largest_p(const VerdictCase& c);
Verdict judge(const VerdictCase& c);
/// Begins with "gain:", "harm:", "no gain shown:" or "nothing can be claimed:" and names the numbers.
std::string sentence(const VerdictCase& c);

}  // namespace chorale
