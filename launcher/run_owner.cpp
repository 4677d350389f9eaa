#include <chorale/launcher/run_owner.hpp>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include <chorale/core/base/process_stat.hpp>
#include <chorale/launcher/slurm/job_state.hpp>
#include <chorale/launcher/slurm/own_job.hpp>

namespace chorale {

namespace {

std::string first_word(const std::string& path) {
  std::ifstream in(path);
  std::string word;
  in >> word;
  return word;
}

std::string machine() {
  char space[64] = {};
  if (::readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0) space[0] = '\0';
  return first_word("/proc/sys/kernel/random/boot_id") + " " + space;
}

/// State and start of a process; nothing when there is none. The name in brackets may hold anything.
std::optional<std::pair<char, std::uint64_t>> process(std::int64_t pid) {
  const std::string line = process_stat(pid);
  const std::size_t end = line.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(line.substr(end + 1));
  char state = 0;
  std::string word;
  rest >> state;
  for (int field = 4; field < 22; ++field) rest >> word;
  std::uint64_t started = 0;
  if (!(rest >> started)) return {};
  return std::pair(state, started);
}

std::int64_t number_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::strtoll(text, nullptr, 10) : 0;
}

std::string cluster_of(const std::string& job) {
  if (job.empty()) return "";
  const std::string told = own_cluster();
  return told.empty() ? cluster_name() : told;
}

}  // namespace

std::string own_watcher() {
  if (const char* supervisor = std::getenv("CHORALE_SUPERVISOR")) return supervisor;
  const char *launch = std::getenv("PMIX_NAMESPACE"), *restart = std::getenv("SLURM_RESTART_COUNT");
  return launch ? std::string(launch) + (restart ? std::string(".") + restart : "") : "";
}

RunOwner this_owner(double deadline_s) {
  std::random_device device;
  char nonce[40];
  std::snprintf(nonce, sizeof nonce, "%08x%08x%08x%08x", device(), device(), device(), device());
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const std::string job = own_job();
  const auto self = process(::getpid());
  return {.nonce = nonce,
          .cluster = cluster_of(job),
          .job = job,
          .restart = number_of("SLURM_RESTART_COUNT"),
          .supervisor = number_of("CHORALE_SUPERVISOR_RESTART"),
          .watcher = own_watcher(),
          .host = host,
          .machine = machine(),
          .pid = ::getpid(),
          .started = self ? self->second : 0,
          .deadline_s = deadline_s};
}

std::string owner_json(const RunOwner& a) {
  const nlohmann::ordered_json j = {{"nonce", a.nonce},     {"cluster", a.cluster},       {"job", a.job},
                                    {"restart", a.restart}, {"supervisor", a.supervisor}, {"watcher", a.watcher},
                                    {"host", a.host},       {"machine", a.machine},       {"pid", a.pid},
                                    {"started", a.started}, {"deadline_s", a.deadline_s}};
  return j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::optional<RunOwner> parse_owner(const std::string& text) {
  try {
    const auto j = nlohmann::json::parse(text);
    return RunOwner{.nonce = j.at("nonce"),
                    .cluster = j.value("cluster", ""),
                    .job = j.at("job"),
                    .restart = j.at("restart"),
                    .supervisor = j.at("supervisor"),
                    .watcher = j.value("watcher", ""),
                    .host = j.at("host"),
                    .machine = j.at("machine"),
                    .pid = j.at("pid"),
                    .started = j.at("started"),
                    .deadline_s = j.at("deadline_s")};
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

std::string owner_text(const RunOwner& a) {
  std::string text = "process " + std::to_string(a.pid) + " on host " + a.host;
  if (!a.job.empty()) text += ", job " + a.job + ", restart " + std::to_string(a.restart);
  return text;
}

std::optional<bool> is_alive_here(const RunOwner& attempt) {
  if (attempt.machine != machine()) return {};
  const auto found = process(attempt.pid);
  return found && found->first != 'Z' && found->first != 'X' && found->second == attempt.started;
}

SlurmWord slurm_word(const RunOwner& attempt, const RunOwner& mine) {
  if (attempt.job.empty() || attempt.cluster.empty()) return SlurmWord::unknown;
  if (attempt.cluster == mine.cluster && attempt.job == mine.job && mine.restart > attempt.restart) return SlurmWord::over;
  if (attempt.cluster != cluster_name()) return SlurmWord::unknown;
  switch (job_state(attempt.job).kind) {
    case JobState::Kind::over:
      return SlurmWord::over;
    case JobState::Kind::forgotten:
      return SlurmWord::forgotten;
    case JobState::Kind::unknown:
      return SlurmWord::unknown;
    default:
      return SlurmWord::alive;
  }
}

}  // namespace chorale
