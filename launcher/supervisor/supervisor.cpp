#include <chorale/launcher/supervisor/supervisor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/supervisor/host_check.hpp>
#include <chorale/launcher/utc_time.hpp>

namespace chorale {

namespace {
constexpr int kSameEnds = 3;  // then it is the batch, not the weather
constexpr auto kAnswerWithin = std::chrono::seconds(10);
constexpr auto kLongestWait = std::chrono::seconds(60);

/// Rank 0 has written this verdict when the work was done: a rank that is lost later, in MPI's end, takes nothing from it.
bool has_said_its_end(int code) { return code == static_cast<int>(ExitCode::done) || code == static_cast<int>(ExitCode::requeue); }

bool may_help(int code) { return code == static_cast<int>(ExitCode::comm) || code == static_cast<int>(ExitCode::requeue); }
}  // namespace

int Supervisor::run() {
  started_ = utc_now();
  checkpoint_ = newest_checkpoint();
  for (;;) {
    const AttemptEnd end = Attempt({.plan = next_plan(), .words = order_.words, .silence = order_.silence, .restart = restarts_}).run();
    if (!end.cause.empty()) {
      if (!has_said_its_end(end.code)) record(end);
      say(end.cause);
      if (end.rank >= 0) print_last_words(end.rank);
    }
    if (!goes_on(end)) return end.code;
    if (std::find(order_.words.begin(), order_.words.end(), "--resume") == order_.words.end()) order_.words.emplace_back("--resume");
    std::erase(order_.words, "--overwrite");  // the attempt before has done that
    drop_faults();
  }
}

/// What a test asked for has happened; the next attempt is to show that it is survived.
void Supervisor::drop_faults() {
  for (auto at = order_.words.begin(); at != order_.words.end();) {
    if (*at == "--inject" && at + 1 != order_.words.end())
      at = order_.words.erase(at, at + 2);
    else
      at = at->starts_with("--inject=") ? order_.words.erase(at) : at + 1;
  }
}

/// On the hosts that answer now.
RankPlan Supervisor::next_plan() const {
  RankPlan plan = order_.plan;
  if (order_.hosts.empty()) return plan;
  std::vector<std::string> left_out;
  const std::vector<Host> hosts = usable_hosts(ask_hosts(order_.hosts, kAnswerWithin), order_.min_ranks, left_out);
  for (const std::string& text : left_out) say("left out: " + text);
  plan.hosts = hosts_text(hosts), plan.ranks = ranks_on(hosts);
  if (!left_out.empty()) say(fmt::format("goes on with {} ranks on {}", plan.ranks, plan.hosts));
  return plan;
}

bool Supervisor::goes_on(const AttemptEnd& end) {
  if (!may_help(end.code) || end.asked || stop_requested()) return false;
  // The batch script of a job requeues it.
  if (end.code == static_cast<int>(ExitCode::requeue) && std::getenv("SLURM_JOB_ID")) return false;
  const std::string newest = newest_checkpoint();
  if (newest != checkpoint_) same_.clear(), without_progress_ = 0;
  checkpoint_ = newest;
  if (end.step > 0 && ++same_[fmt::format("{}|{}|{}", end.step, end.rank, end.where)] >= kSameEnds) {
    say(
        fmt::format("step {} has failed {} times in the same way without a checkpoint in between: it is not started again. "
                    "What the ranks did is in logs/; chorale inspect {} --flight",
                    end.step, kSameEnds, order_.run.string()));
    return false;
  }
  if (restarts_ >= order_.restarts) {
    if (order_.restarts > 0)
      say(fmt::format("{} restarts are used up; chorale train ... --run-dir {} --resume goes on", restarts_, order_.run.string()));
    return false;
  }
  ++restarts_;
  wait_before_next();
  if (stop_requested()) return false;
  say(fmt::format("restart {} of {}, {}", restarts_, order_.restarts,
                  newest.empty() ? "from the beginning: there is no checkpoint yet" : "from " + newest));
  return true;
}

/// At once after progress, then 1, 2, 4 ... seconds.
void Supervisor::wait_before_next() {
  using namespace std::chrono_literals;
  const auto wait = without_progress_ == 0
                        ? 0s
                        : std::min<std::chrono::seconds>(kLongestWait, std::chrono::seconds(1 << std::min(10, without_progress_ - 1)));
  ++without_progress_;
  const auto until = std::chrono::steady_clock::now() + wait;
  while (std::chrono::steady_clock::now() < until && !stop_requested()) std::this_thread::sleep_for(50ms);
}

std::string Supervisor::newest_checkpoint() const {
  const auto steps = list_checkpoints(order_.run / "checkpoints").steps;
  return steps.empty() ? "" : "step_" + std::to_string(steps.back());
}

void Supervisor::record(const AttemptEnd& end) const {
  try {
    RunDirectory::append_verdict(order_.run, end);
  } catch (const IoError& e) {
    say(e.what());
  }
}

void Supervisor::say(const std::string& text) const {
  std::fprintf(stderr, "%schorale: %s\n", terminal_columns() > 0 ? "\r\x1b[K" : "", printable(text).c_str());
}

/// What the rank has logged last, once. A folder that is to be overwritten still has the words of the run before.
void Supervisor::print_last_words(int rank) const {
  std::ifstream log(order_.run / "logs" / ("rank_" + std::to_string(rank) + ".jsonl"));
  std::deque<std::string> last;
  for (std::string line; std::getline(log, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || json.value("time", "") < started_) continue;
    last.push_back(fmt::format("  rank {} at {}: {}", rank, json.value("time", "?"), json.value("text", "")));
    if (last.size() > 3) last.pop_front();
  }
  for (const std::string& line : last) say(line);
}

}  // namespace chorale
