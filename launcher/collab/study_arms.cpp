#include <algorithm>
#include <array>

#include <chorale/launcher/collab/study_summary.hpp>

namespace chorale {

namespace {

struct ArmText {
  const char *name, *meaning;
};
constexpr std::array<ArmText, 11> kArms = {{
    {"alone", "each task by itself, its usual model"},
    {"matched", "by itself with collab's parameters, stages and tuning: own knowledge stands where the peers' would"},
    {"collab", "with the peers, as the recipe says"},
    {"unguarded", "collab without the guard against negative transfer"},
    {"disjoint", "collab where no peer saw a test entity with its labels"},
    {"shuffled", "collab with the ids of peers shuffled: what is left is no knowledge of the entity"},
    {"untrained", "collab with peers that learnt nothing: what is left comes from their columns alone"},
    {"pooled", "one model with all raw columns: the upper bound"},
    {"shared_bottom", "one process, all tasks on one shared network"},
    {"mmoe", "one process, mixture of experts with a gate a task"},
    {"ple", "one process, shared and private experts in layers"},
}};

}  // namespace

std::size_t arm_place(const std::string& arm) {
  return static_cast<std::size_t>(std::find_if(kArms.begin(), kArms.end(), [&](const ArmText& a) { return arm == a.name; }) -
                                  kArms.begin());
}

std::string arm_meaning(const std::string& arm) {
  const std::size_t at = arm_place(arm);
  return at < kArms.size() ? kArms[at].meaning : "";
}

const ArmScores* StudyTask::arm(const std::string& wanted) const {
  const auto found = std::find_if(arms.begin(), arms.end(), [&](const ArmScores& a) { return a.arm == wanted; });
  return found == arms.end() ? nullptr : &*found;
}

const Versus* StudyTask::against(const std::string& wanted) const {
  const auto found = std::find_if(versus.begin(), versus.end(), [&](const Versus& v) { return v.arm == wanted; });
  return found == versus.end() ? nullptr : &*found;
}

}  // namespace chorale
