#include <chorale/launcher/supervisor/launcher_words.hpp>

#include <unistd.h>

#include <cstdlib>

namespace chorale {

bool is_on_one_node(const RankPlan& plan) {
  return plan.how == RankPlan::How::mpirun && plan.hosts.empty() && !std::getenv("SLURM_JOB_ID");
}

std::string launcher_name(const RankPlan& plan) { return plan.how == RankPlan::How::srun ? "srun" : "mpirun"; }

std::vector<std::string> launcher_words(const RankPlan& plan, const std::string& folder, const std::vector<std::string>& handed_over) {
  const std::string n = std::to_string(plan.ranks);
  if (plan.how == RankPlan::How::srun) return {"srun", "-n", n, "--mpi=pmix", "-K1"};
  std::vector<std::string> out = {"mpirun", "-q", "-np", n, "--mca", "orte_tmpdir_base", folder};
  if (!plan.hosts.empty()) out.insert(out.end(), {"--host", plan.hosts});
  // mpirun's daemon on a node that is cut off ends after 2 minutes, not 8.
  if (!is_on_one_node(plan))
    out.insert(out.end(), {"--mca", "oob_tcp_keepalive_time", "60", "--mca", "oob_tcp_keepalive_intvl", "10", "--mca",
                           "oob_tcp_keepalive_probes", "6"});
  if (!plan.elsewhere.prefix.empty()) out.insert(out.end(), {"--prefix", plan.elsewhere.prefix});
  const std::vector<std::string> placing =
      !plan.hosts.empty() ? std::vector<std::string>{"--map-by", "slot"}
      : plan.crowded      ? std::vector<std::string>{"--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"}
                          : std::vector<std::string>{"--map-by", "core", "--bind-to", "core"};
  out.insert(out.end(), placing.begin(), placing.end());
  if (!plan.hosts.empty())
    for (const std::string& name : handed_on(plan.elsewhere)) out.insert(out.end(), {"-x", name});
  if (!plan.hosts.empty() && !std::getenv("OMPI_MCA_hwloc_base_binding_policy"))
    out.insert(out.end(), {"--bind-to", "core:overload-allowed"});  // as many as the user has asked for
  if (!is_on_one_node(plan))
    for (const std::string& name : handed_over) out.insert(out.end(), {"-x", name});
  return out;
}

ChildEnvironment control_environment(const RankPlan& plan, const ControlHub& hub) {
  const std::string host = is_on_one_node(plan) ? "127.0.0.1" : host_name();
  return {{"CHORALE_CONTROL", host + ":" + std::to_string(hub.port())},
          {"CHORALE_SECRET", hub.secret()},
          {"CHORALE_TERMINAL", std::to_string(terminal_columns())}};
}

ChildEnvironment launcher_environment(const RankPlan& plan, const std::string& folder) {
  ChildEnvironment out;
  if (::geteuid() == 0) out.insert(out.end(), {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}});
  // What ranks put into temporary folders goes with this one, however they end. Other nodes do not have it.
  if (is_on_one_node(plan)) out.emplace_back("TMPDIR", folder);
  return out;
}

}  // namespace chorale
