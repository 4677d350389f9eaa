#include <chorale/launcher/collab/study_plan.hpp>

#include <algorithm>
#include <charconv>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/collab/trial.hpp>

namespace chorale {

namespace {

std::vector<std::int64_t> numbers(const std::vector<std::string>& words, const std::string& flag, bool takes_all) {
  std::vector<std::int64_t> out;
  for (const std::string& word : words) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), n);
    if (takes_all && word == "all")
      n = kAllLabels;
    else if (error != std::errc() || end != word.data() + word.size() || n < 1)
      throw UsageError(flag + " " + word + " is refused: expected whole numbers of at least 1" + (takes_all ? ", or all" : ""));
    if (std::find(out.begin(), out.end(), n) == out.end()) out.push_back(n);
  }
  return out;
}

bool shares(const std::string& arm) { return arm != "alone" && arm != "pooled" && arm != "matched" && !is_joint(arm); }

}  // namespace

std::vector<StudyKey> plan_study(const StudyOptions& o, std::int64_t base_every, std::int64_t base_width) {
  std::vector<std::string> arms = o.arms;
  if (arms.empty())
    for (const std::string_view arm : known_arms()) arms.emplace_back(arm);
  for (const std::string& arm : arms) check_arm(arm);
  std::vector<std::int64_t> labels = numbers(o.labels, "--labels", true);
  if (labels.empty()) labels = {kAllLabels};
  std::vector<StudyKey> out;
  const auto add = [&](std::int64_t label, std::int64_t every, std::int64_t width, const auto& wanted) {
    for (std::int64_t seed = 1; seed <= o.seeds; ++seed)
      for (const std::string& arm : arms) {
        const StudyKey key{.labels = label, .every = every, .width = width, .arm = arm, .seed = static_cast<std::uint64_t>(seed)};
        if (wanted(arm) && std::find(out.begin(), out.end(), key) == out.end()) out.push_back(key);
      }
  };
  for (const std::int64_t label : labels) {
    add(label, base_every, base_width, [](const std::string&) { return true; });
    for (const std::int64_t every : numbers(o.every, "--every", false)) add(label, every, base_width, shares);
    for (const std::int64_t width : numbers(o.width, "--width", false))
      add(label, base_every, width, [](const std::string& arm) { return shares(arm) || arm == "matched"; });
  }
  return out;
}

}  // namespace chorale
