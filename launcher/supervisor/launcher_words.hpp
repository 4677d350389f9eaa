// How mpirun and srun are called.
#pragma once
#include <string>
#include <vector>

#include <chorale/comm/control/hub.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/spawn/child.hpp>

namespace chorale {

/// All ranks run where this process does.
bool is_on_one_node(const RankPlan& plan);
std::string launcher_name(const RankPlan& plan);
/// folder: of this process, goes with it; what Open MPI leaves behind lies there. handed_over: names of the environment that ranks on other
/// nodes need, beside those that let the program start there.
std::vector<std::string> launcher_words(const RankPlan& plan, const std::string& folder, const std::vector<std::string>& handed_over);
/// What the launcher and all ranks on this node find in their environment.
ChildEnvironment launcher_environment(const RankPlan& plan, const std::string& folder);
/// Where the hub is and the run's secret, which belongs on no command line.
ChildEnvironment control_environment(const RankPlan& plan, const ControlHub& hub);

}  // namespace chorale
