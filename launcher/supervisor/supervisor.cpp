#include <chorale/launcher/supervisor/supervisor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include <chorale/comm/faults.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/option.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/supervisor/host_check.hpp>
#include <chorale/launcher/utc_time.hpp>

namespace chorale {

namespace {
constexpr auto kAnswerWithin = std::chrono::seconds(10);
constexpr auto kLongestWait = std::chrono::seconds(60);

/// Rank 0 has written this verdict when the work was done: a rank that is lost later, in MPI's end, takes nothing from it.
bool has_said_its_end(int code) { return code == static_cast<int>(ExitCode::done) || code == static_cast<int>(ExitCode::requeue); }

/// Ctrl-C between two starts.
int code_of(const AttemptEnd& end) {
  const bool was_waiting = end.code == static_cast<int>(ExitCode::comm) && !end.asked && requested_stop() == Stop::interrupt;
  return was_waiting ? static_cast<int>(ExitCode::interrupted) : end.code;
}

bool may_help(int code) { return code == static_cast<int>(ExitCode::comm) || code == static_cast<int>(ExitCode::requeue); }
}  // namespace

Supervisor::Supervisor(Order order) : order_(std::move(order)), first_(RunDirectory::look(order_.run)), watcher_(this_owner(0).nonce) {}

int Supervisor::run() {
  checkpoint_ = newest_checkpoint();
  if (is_requeued_job()) same_ = RepeatedEnd::in_events_of(order_.run);
  for (;;) {
    const std::string started = utc_now();
    const RunDirectory::Seen before = RunDirectory::look(order_.run);
    AttemptEnd end = attempt();
    note_progress();
    if (end.code == static_cast<int>(ExitCode::comm) && !end.asked && same_.add(end))
      static_cast<Verdict&>(end) = same_.final_verdict(end, order_.run);
    if (!end.cause.empty()) {
      const std::string lost = end.cause;
      if (!has_said_its_end(end.code)) record(end, before);
      say(has_said_its_end(end.code) ? "the run had ended in order, then: " + lost : end.cause);
      if (end.rank >= 0 && end.code != static_cast<int>(ExitCode::owned))
        print_last_words(end, started);  // else they are of another attempt
    }
    if (!goes_on(end)) return RunLock::release_of(order_.run, watcher_), code_of(end);
    prepare_next_words();
  }
}

bool Supervisor::has_old_run() const {
  const bool overwrites = std::find(order_.words.begin(), order_.words.end(), "--overwrite") != order_.words.end();
  return overwrites && first_.folder != 0 && RunDirectory::folder_number(order_.run) == first_.folder;
}

void Supervisor::prepare_next_words() {
  if (!has_old_run()) {
    std::erase(order_.words, "--overwrite");  // an attempt has done that
    if (std::find(order_.words.begin(), order_.words.end(), "--resume") == order_.words.end()) order_.words.emplace_back("--resume");
  }
  order_.words = without_met_faults(order_.words);
}

AttemptEnd Supervisor::attempt() {
  RankPlan plan;
  try {
    plan = next_plan();
  } catch (const CommError& e) {
    if (restarts_ == 0) throw;
    return {{.code = static_cast<int>(e.code()), .cause = e.what()}};  // a host that has been there may come back
  }
  return Attempt({.plan = plan, .words = order_.words, .deadline = order_.deadline, .restart = restarts_, .watcher = watcher_}).run();
}

void Supervisor::note_progress() {
  std::string newest = newest_checkpoint();
  if (newest != checkpoint_) same_.forget(), without_progress_ = 0;
  checkpoint_ = std::move(newest);
}

/// On the hosts that answer now.
RankPlan Supervisor::next_plan() const {
  RankPlan plan = order_.plan;
  if (order_.hosts.empty()) return plan;
  std::vector<std::string> left_out;
  const std::vector<Host> hosts = usable_hosts(ask_hosts(order_.hosts, kAnswerWithin, order_.plan.elsewhere), order_.min_ranks, left_out);
  for (const std::string& text : left_out) say("left out: " + text);
  plan.hosts = hosts_text(hosts), plan.ranks = ranks_on(hosts);
  if (!left_out.empty()) say(fmt::format("goes on with {} ranks on {}", plan.ranks, plan.hosts));
  return plan;
}

bool Supervisor::goes_on(const AttemptEnd& end) {
  if (!may_help(end.code) || end.asked || stop_requested()) return false;
  // The batch script of a job requeues it.
  if (end.code == static_cast<int>(ExitCode::requeue) && std::getenv("SLURM_JOB_ID")) return false;
  if (restarts_ >= order_.restarts) {
    if (order_.restarts > 0)
      say(fmt::format("{} restarts are used up; chorale train ... --run-dir {} --resume goes on", restarts_, order_.run.string()));
    return false;
  }
  ++restarts_;
  const std::chrono::seconds wait = next_wait();
  say(fmt::format("restart {} of {}{}, {}", restarts_, order_.restarts, wait.count() > 0 ? fmt::format(" in {} s", wait.count()) : "",
                  checkpoint_.empty() ? "from the beginning: there is no checkpoint yet" : "from " + checkpoint_));
  const auto until = std::chrono::steady_clock::now() + wait;
  while (std::chrono::steady_clock::now() < until && !stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return !stop_requested();
}

/// None after progress, then 1, 2, 4 ...
std::chrono::seconds Supervisor::next_wait() {
  const int starts = without_progress_++;
  if (starts == 0) return std::chrono::seconds(0);
  return std::min<std::chrono::seconds>(kLongestWait, std::chrono::seconds(1 << std::min(10, starts - 1)));
}

std::string Supervisor::newest_checkpoint() const {
  if (has_old_run()) return "";
  const auto steps = list_checkpoints(order_.run / "checkpoints").steps;
  return steps.empty() ? "" : "step_" + std::to_string(steps.back());
}

/// The verdict of an attempt that has lost the folder to another one is that.
void Supervisor::record(AttemptEnd& end, const RunDirectory::Seen& before) const {
  try {
    if (RunDirectory::append_verdict(order_.run, end, watcher_, before)) return;
    const int attempts = RunDirectory::attempts_before(before, RunDirectory::folder_number(order_.run));
    const std::optional<Verdict> recorded = RunDirectory::recorded_end(order_.run, attempts);
    if (recorded && recorded->code != end.code) static_cast<Verdict&>(end) = *recorded;
  } catch (const OwnedError& e) {
    static_cast<Verdict&>(end) = {.code = static_cast<int>(e.code()), .cause = e.what()};
  } catch (const IoError& e) {
    say(e.what());
  }
}

void Supervisor::say(const std::string& text) const {
  std::fprintf(stderr, "%schorale: %s\n", terminal_columns() > 0 ? "\r\x1b[K" : "", printable(text).c_str());
}

/// A folder that is to be overwritten still has the words of the run before.
void Supervisor::print_last_words(const Verdict& end, const std::string& since) {
  const std::string rank = std::to_string(end.rank);
  for (const std::string& line : last_lines_.of(order_.run / "logs" / ("rank_" + rank + ".jsonl"), since, end.cause))
    say("  rank " + rank + " at " + line);
}

std::vector<std::string> without_met_faults(const std::vector<std::string>& words) {
  constexpr std::string_view kFlag = "--inject", kFlagIs = "--inject=";
  std::vector<std::string> out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool has_value = words[i] == kFlag && i + 1 < words.size();
    if (!has_value && !words[i].starts_with(kFlagIs)) {
      out.push_back(words[i]);
      continue;
    }
    std::string kept;
    for (const std::string& word : words_of(has_value ? words[++i] : words[i].substr(kFlagIs.size())))
      if (parse_fault(word).repeats) kept += (kept.empty() ? "" : " ") + word;
    if (!kept.empty()) out.insert(out.end(), {std::string(kFlag), kept});
  }
  return out;
}

}  // namespace chorale
