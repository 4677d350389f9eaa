// Which runs a study consists of.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/launcher/collab/study_result.hpp>

namespace chorale {

struct StudyOptions {
  std::int64_t seeds = 10;
  std::vector<std::string> arms;          // empty: all that can be run
  std::vector<std::string> labels;        // numbers, or all; empty: all
  std::vector<std::string> every, width;  // empty: the recipe's
};

/// Without doubles, arms of one seed beside each other. A sweep of `every` or `width` leaves out arms that it cannot change. Throws
/// UsageError for what is no number, no arm, or leaves nothing to compare.
std::vector<StudyKey> plan_study(const StudyOptions& options, std::int64_t base_every, std::int64_t base_width);

}  // namespace chorale
