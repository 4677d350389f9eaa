#include <chorale/launcher/collab/study_verdict.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace chorale {

namespace {

constexpr double kLevel = 0.05;

struct Against {
  const char* arm;
  const std::optional<Difference>* gain;
};

std::vector<Against> rivals(const VerdictCase& c) {
  std::vector<Against> out = {{"matched", &c.over_matched}, {"shuffled", &c.over_shuffled}, {"untrained", &c.over_untrained}};
  if (!c.no_shuffled.empty()) out.erase(out.begin() + 1);
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) out += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  return out;
}

std::string missing(const VerdictCase& c) {
  std::vector<std::string> names;
  for (const Against& a : rivals(c))
    if (!*a.gain) names.emplace_back(a.arm);
  if (names.empty()) return "";
  return (names.size() == 1 ? "the arm " : "the arms ") + joined(names) + (names.size() == 1 ? " was not run" : " were not run");
}

std::string interval(const Difference& d) {
  if (!std::isfinite(d.low) || !std::isfinite(d.high)) return "no interval: too many draws of test rows leave it undefined";
  return fmt::format("95 % interval {:.4f} to {:.4f}", d.low, d.high);
}

/// "better than matched by 0.0489 (95 % interval 0.0450 to 0.0530)"
std::string compared(const Against& a) {
  const Difference& d = **a.gain;
  if (!std::isfinite(d.mean)) return fmt::format("not comparable with {}", a.arm);
  if (d.mean == 0) return fmt::format("equal to {} ({})", a.arm, interval(d));
  if (d.mean < 0) return fmt::format("worse than {} by {:.4f} ({})", a.arm, -d.mean, interval(negated(d)));
  return fmt::format("better than {} by {:.4f} ({})", a.arm, d.mean, interval(d));
}

/// All comparisons that there are.
std::string comparisons(const VerdictCase& c) {
  std::vector<std::string> parts;
  for (const Against& a : rivals(c))
    if (*a.gain) parts.push_back(compared(a));
  return joined(parts);
}

std::string without_shuffled(const VerdictCase& c) { return c.no_shuffled.empty() ? "" : "; no shuffled ids: " + c.no_shuffled; }

std::string corrected(const VerdictCase& c) {
  return c.tasks == 1 ? fmt::format("p = {:.4f}", c.p_holm)
                      : fmt::format("p = {:.4f} after Holm's correction over {} tasks", c.p_holm, c.tasks);
}

/// Why all intervals and p are not enough.
std::string shortfall(const VerdictCase& c) {
  std::vector<std::string> within;
  for (const Against& a : rivals(c))
    if (!((*a.gain)->low > 0)) within.emplace_back(a.arm);
  if (within.empty()) return fmt::format("all intervals lie above 0, but {} is not below {}", corrected(c), kLevel);
  return fmt::format("the {} against {} {} not lie above 0", within.size() == 1 ? "interval" : "intervals", joined(within),
                     within.size() == 1 ? "does" : "do");
}

}  // namespace

double largest_p(const VerdictCase& c) {
  double largest = 0;
  for (const Against& a : rivals(c)) {
    if (!*a.gain || std::isnan((*a.gain)->p)) return std::numeric_limits<double>::quiet_NaN();
    largest = std::max(largest, (*a.gain)->p);
  }
  return largest;
}

Verdict judge(const VerdictCase& c) {
  if (c.over_matched && c.over_matched->high < 0) return Verdict::harm;
  if (!missing(c).empty()) return Verdict::unknown;
  for (const Against& a : rivals(c))
    if (!((*a.gain)->low > 0)) return Verdict::none;
  return c.p_holm < kLevel ? Verdict::gain : Verdict::none;
}

std::string sentence(const VerdictCase& c) {
  const std::string scores = c.over_matched
                                 ? fmt::format("collab has {} {:.4f} on {}, matched {:.4f}", c.metric, c.collab, c.task, c.matched)
                                 : fmt::format("collab has {} {:.4f} on {}", c.metric, c.collab, c.task);
  switch (judge(c)) {
    case Verdict::gain:
      return fmt::format("gain: {}; it is {}; {}{}.", scores, comparisons(c), corrected(c), without_shuffled(c));
    case Verdict::harm:
      return fmt::format("harm: {}; it is {}.", scores, comparisons(c));
    case Verdict::none:
      return fmt::format("no gain shown: {}; it is {}; {}.", scores, comparisons(c), shortfall(c));
    case Verdict::unknown:
      break;
  }
  const std::string seen = comparisons(c);
  return fmt::format("nothing can be claimed: {}, and without {} no gain can be told from an artefact; {}{}.", missing(c),
                     missing(c).starts_with("the arms ") ? "them" : "it", scores, seen.empty() ? "" : "; it is " + seen);
}

}  // namespace chorale
