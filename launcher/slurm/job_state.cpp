#include <chorale/launcher/slurm/job_state.hpp>

#include <chrono>
#include <optional>
#include <regex>
#include <sstream>
#include <string_view>
#include <vector>

#include <chorale/launcher/slurm/program_call.hpp>

namespace chorale {

namespace {

constexpr std::chrono::seconds kPatience(10);

/// A default of the user's for other clusters would answer for another one than cluster_name() names.
bool is_for_question(std::string_view name) { return name != "SLURM_CLUSTERS"; }

std::optional<ProgramAnswer> ask(std::vector<std::string> words) {
  return call_program({.words = std::move(words), .limit = kPatience, .hands_on = is_for_question});
}

JobState::Kind kind_of(const std::string& state) {
  for (const char* over :
       {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "PREEMPTED", "REVOKED"})
    if (state == over) return JobState::Kind::over;
  for (const char* waiting : {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
    if (state == waiting) return JobState::Kind::waiting;
  return JobState::Kind::running;
}

}  // namespace

std::string JobState::text() const {
  if (kind == Kind::forgotten) return "ENDED";
  return state.empty() ? "" : state + " " + reason;
}

JobState job_state(const std::string& job) {
  static const std::regex form(R"([0-9]{1,19}(_[0-9]{1,19})?)");
  if (!std::regex_match(job, form)) return {};
  const auto answer = ask({"squeue", "--noheader", "--states=all", "--jobs=" + job, "--format=%T (%r)"});
  if (!answer) return {};
  JobState out;
  std::istringstream lines(answer->output);
  for (std::string line; answer->code == 0 && std::getline(lines, line);) {
    std::istringstream in(line);
    JobState one;
    if (!(in >> one.state)) continue;
    std::getline(in >> std::ws, one.reason);
    one.kind = kind_of(one.state);
    // An array's number stands for its tasks: one of them that is not over speaks for all.
    if (out.state.empty() || (!out.is_live() && one.is_live())) out = one;
  }
  const bool is_gone = answer->code == 0 || answer->messages.find("Invalid job id specified") != std::string::npos;
  if (out.state.empty() && is_gone) out.kind = JobState::Kind::forgotten;
  return out;
}

JobState job_state(const std::string& job, const std::string& cluster) {
  return cluster.empty() || cluster == cluster_name() ? job_state(job) : JobState();
}

std::string cluster_name() {
  const auto answer = ask({"scontrol", "show", "config"});
  if (!answer || answer->code != 0) return "";
  std::istringstream in(answer->output);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key, equals, value;
    if (words >> key >> equals >> value && key == "ClusterName" && equals == "=") return value;
  }
  return "";
}

}  // namespace chorale
