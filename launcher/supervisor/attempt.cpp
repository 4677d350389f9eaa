#include <chorale/launcher/supervisor/attempt.hpp>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <chorale/comm/control/channel.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/process_stat.hpp>
#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/spawn/child.hpp>
#include <chorale/launcher/supervisor/launcher_words.hpp>
#include <chorale/launcher/supervisor/rank_ends.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;
constexpr auto kRegisterWithin = 30s;  // all ranks, from the start
constexpr auto kGatherFor = 300ms;     // the first news of a failure need not be its cause
constexpr auto kLeaveWithin = 1500ms;  // ranks, after the order
constexpr auto kLauncherMayTake = 2s;  // after the last rank has left
constexpr auto kSilent = 5s;           // of a rank that speaks twice a second
constexpr auto kCodeWithin = 2s;       // a launcher whose ranks have gone
constexpr auto kInterruptWithin = 1900ms;
constexpr auto kDieWithin = 2s;  // a rank that was killed
constexpr int kComm = static_cast<int>(ExitCode::comm);

/// And is no zombie.
bool is_there(std::int64_t process) {
  const std::string stat = process_stat(process);
  const std::size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat.compare(name_end + 2, 1, "Z") != 0;
}

bool has_passed(std::chrono::steady_clock::time_point at, std::chrono::milliseconds limit) {
  return at.time_since_epoch().count() != 0 && std::chrono::steady_clock::now() - at >= limit;
}
}  // namespace

Attempt::Attempt(Order order)
    : order_(std::move(order)),
      hub_({.ranks = order_.plan.ranks, .secret = new_secret(), .address = is_on_one_node(order_.plan) ? "127.0.0.1" : "0.0.0.0"}),
      silence_(order_.deadline) {}

AttemptEnd Attempt::run() {
  start();
  while (watch()) {
  }
  if (ordered_at_ == Clock::time_point{}) keep_silent_rank();
  end_launcher();
  AttemptEnd end = verdict().value_or(orderly_end());
  end.step = furthest_step();
  end.asked = stop_passed_ != Stop::none;
  return end;
}

void Attempt::start() {
  ChildEnvironment environment = control_environment(order_.plan, hub_);
  environment.emplace_back("CHORALE_SUPERVISOR_RESTART", std::to_string(order_.restart));
  environment.emplace_back("CHORALE_SUPERVISOR", order_.watcher);
  std::vector<std::string> names;
  for (const auto& [name, value] : environment) names.push_back(name);
  std::vector<std::string> all = launcher_words(order_.plan, folder_.path(), names);
  all.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
  all.insert(all.end(), order_.words.begin(), order_.words.end());
  for (auto& variable : launcher_environment(order_.plan, folder_.path())) environment.push_back(std::move(variable));
  child_ = start_child(all, {}, environment);  // a group of its own: mpirun would kill the ranks before they can checkpoint
  began_ = Clock::now();
}

bool Attempt::watch() {
  hub_.serve(20ms);
  pass_on_stop();
  look_for_trouble();
  const bool all_came = hub_.registered() == order_.plan.ranks, nobody = hub_.present() == 0;
  if (has_passed(trouble_at_, kGatherFor) && ordered_at_ == Clock::time_point{}) {
    keep_silent_rank();
    const AttemptEnd why = *verdict();
    hub_.leave(why.code, why.cause, why.rank);
    ordered_at_ = Clock::now();
  }
  const auto may_leave = [](const RankStatus& r) { return r.state == RankStatus::State::here && !is_stopped(r); };
  if (ordered_at_ != Clock::time_point{})
    return std::any_of(hub_.ranks().begin(), hub_.ranks().end(), may_leave) && !has_passed(ordered_at_, kLeaveWithin);
  if (stop_passed_ == Stop::interrupt && has_passed(stop_at_, kInterruptWithin)) return false;
  if (interrupts() > 1) return false;
  if (!all_came || hub_.working() > 0) return true;  // who only ends MPI may be held by a launcher that hangs
  if (empty_at_ == Clock::time_point{}) empty_at_ = Clock::now();
  return !(nobody && launcher_has_ended()) && !has_passed(empty_at_, kLauncherMayTake);
}

void Attempt::pass_on_stop() {
  const Stop wanted = requested_stop();
  if (wanted <= stop_passed_) return;
  hub_.stop(static_cast<int>(wanted));
  stop_passed_ = wanted, stop_at_ = Clock::now();
}

void Attempt::look_for_trouble() {
  if (trouble_at_ != Clock::time_point{}) return;
  const bool all_came = hub_.registered() == order_.plan.ranks;
  if (!all_came && has_passed(began_, kRegisterWithin))
    trouble_ = fmt::format("{} of {} ranks have started within {} s; see what mpirun or srun says, or chorale doctor", hub_.registered(),
                           order_.plan.ranks, std::chrono::seconds(kRegisterWithin).count());
  // Its end can be seen before the goodbyes of the ranks are.
  if (launcher_has_ended() && trouble_.empty() && has_passed(launcher_ended_at_, kGatherFor) && (!all_came || hub_.present() > 0))
    trouble_ = fmt::format("{} has ended ({}) with {} of {} ranks started and {} still there", launcher_name(order_.plan),
                           text_of_status(*launcher_status_), hub_.registered(), order_.plan.ranks, hub_.present());
  const std::optional<Silence> silence = silence_.look(hub_);
  if (silence && trouble_.empty()) blame(*silence);
  if (!trouble_.empty() || !hub_.fallen().empty()) trouble_at_ = Clock::now();
}

/// Ranks that are stopped cannot follow the order to leave, and are killed: who was silent is known before that only.
void Attempt::keep_silent_rank() {
  silent_ = troubled_rank_ >= 0 ? troubled_rank_ : silent_before_trouble();
  if (silent_ >= 0 && trouble_.empty()) blame(silence_of(hub_, silent_));
}

void Attempt::blame(const Silence& silence) { trouble_ = silence.cause, troubled_rank_ = silence.rank, trouble_where_ = silence.where; }

/// Had long been silent when the first trouble came; -1: nobody. Behind a cut link nobody can say why, and mpirun, which still hears from
/// there, kills the ranks on this side.
int Attempt::silent_before_trouble() const {
  const auto& ranks = hub_.ranks();
  const auto is_silent = [&](const RankStatus& r) { return r.state == RankStatus::State::here && trouble_at_ - r.heard >= kSilent; };
  const auto found = std::find_if(ranks.begin(), ranks.end(), is_silent);
  return found == ranks.end() ? -1 : static_cast<int>(found - ranks.begin());
}

std::optional<AttemptEnd> Attempt::verdict() const {
  std::vector<RankEnd> ends = ends_in(hub_, {.memory_kills_here = kills_.count(), .launcher_status = launcher_status_});
  // Where another rank had fallen silent before, a death without a word, and what only follows, is not the cause.
  if (silent_ >= 0) std::erase_if(ends, [](const RankEnd& end) { return end.cause.empty() || end.kind == CauseKind::follows; });
  std::optional<Verdict> out = verdict_of(ends);
  if (!out && trouble_.empty()) return std::nullopt;
  if (!out) out = {.code = kComm, .cause = trouble_, .rank = troubled_rank_, .where = trouble_where_};
  out->cause += strangers_text(hub_);
  return AttemptEnd{*out};
}

AttemptEnd Attempt::orderly_end() const {
  if (hub_.registered() == 0 && launcher_status_ && WIFEXITED(*launcher_status_) && WEXITSTATUS(*launcher_status_) == 127)
    return {{.code = static_cast<int>(ExitCode::usage)}};
  const std::optional<int> code = hub_.ranks()[0].code;
  if (stop_passed_ == Stop::interrupt && !code)
    return {{.code = static_cast<int>(ExitCode::interrupted),
             .cause = "interrupted; the ranks had not come to the end of a step, or of a save, and were ended"}};
  return {{.code = code.value_or(kComm), .cause = code ? "" : "rank 0 left without a word"}};
}

std::int64_t Attempt::furthest_step() const {
  std::int64_t out = 0;
  for (const RankStatus& status : hub_.ranks()) out = std::max(out, status.sighting.step);
  return out;
}

bool Attempt::launcher_has_ended() {
  int status = 0;
  if (launcher_status_ || ::waitpid(child_, &status, WNOHANG) != child_) return launcher_status_.has_value();
  launcher_status_ = status, launcher_ended_at_ = Clock::now();
  return true;
}

void Attempt::end_launcher() {
  for (const RankStatus& status : hub_.ranks())
    if (status.state == RankStatus::State::here && status.host == host_name()) ::kill(static_cast<pid_t>(status.process), SIGKILL);
  // Where a rank was killed mpirun is ending by itself, and its code says by which signal. A TERM on top makes it crash. Its daemons on
  // other nodes end with it.
  const auto limit = ordered_at_ == Clock::time_point{} ? 0ms
                     : silent_ >= 0                     ? kGatherFor
                                                        : kCodeWithin;  // of a silent rank it says nothing
  for (const Clock::time_point until = Clock::now() + limit; !launcher_has_ended() && Clock::now() < until;)
    std::this_thread::sleep_for(5ms);
  if (!launcher_has_ended()) {
    kill_family(child_);
    int ignored = 0;
    ended_within(child_, 1s, ignored);  // by us: it says nothing about the ranks
  }
  wait_for_the_killed();
}

/// One that is in the middle of a write, or has much memory to give back, takes its time; its lock is its own until then.
void Attempt::wait_for_the_killed() const {
  const auto lives = [](const RankStatus& status) {
    return status.state == RankStatus::State::here && status.host == host_name() && is_there(status.process);
  };
  for (const Clock::time_point until = Clock::now() + kDieWithin;
       std::any_of(hub_.ranks().begin(), hub_.ranks().end(), lives) && Clock::now() < until;)
    std::this_thread::sleep_for(5ms);
}

}  // namespace chorale
