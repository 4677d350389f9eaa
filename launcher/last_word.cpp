#include <chorale/launcher/last_word.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/launcher/supervisor/repeated_end.hpp>

namespace chorale {

namespace {
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr auto kGatherFor = 300ms;  // the first news of a failure need not be its cause
constexpr auto kFirstRankWithin = 600ms;

bool is_silent_first(const std::vector<RankEnd>& ends) {
  return std::any_of(ends.begin(), ends.end(), [](const RankEnd& e) { return e.rank == 0 && e.kind == CauseKind::unheard && !e.code; });
}

void complain(const char* why) noexcept { std::fprintf(stderr, "chorale: warning: the verdict of the run is not written: %s\n", why); }
}  // namespace

void LastWord::expect(const std::filesystem::path& run) {
  const std::lock_guard lock(mutex_);
  run_ = run, before_ = RunDirectory::look(run);
  // One of our ranks has failed and written it before this one looked.
  if (before_.has_ended && !own_watcher().empty() && before_.watcher == own_watcher()) --before_.attempt;
}

std::string LastWord::introduction() const {
  const std::lock_guard lock(mutex_);
  return nlohmann::json({{"run", run_.string()}, {"owner", owner_json(this_owner(0))}}).dump();
}

void LastWord::meet_first(const std::string& introduction) {
  const auto words = nlohmann::json::parse(introduction, nullptr, false);
  if (!words.is_object() || !words.value("run", nlohmann::json()).is_string()) return;
  expect(words["run"].get<std::string>());
  const std::lock_guard lock(mutex_);
  if (const auto first = parse_owner(words.value("owner", ""))) watch_first(*first);
}

void LastWord::await_first(std::int64_t process) {
  const std::lock_guard lock(mutex_);
  if (process > 0) awaited_ = process, first_process_.emplace(process);
}

void LastWord::begin(const std::filesystem::path& run, int attempt, const RunOwner& first) {
  const std::lock_guard lock(mutex_);
  run_ = run, attempt_ = attempt;
  watch_first(first);
}

void LastWord::watch_first(const RunOwner& first) {
  first_ = first;
  if (first_process_ && std::exchange(awaited_, 0) == first.pid) return;
  first_process_.reset();
  if (is_alive_here(first).value_or(false)) first_process_.emplace(first.pid);
}

std::optional<Verdict> LastWord::settle(const RankEnd& mine, const std::function<std::vector<RankEnd>()>& heard) noexcept {
  try {
    const std::lock_guard lock(mutex_);  // the thread of the rank and that of its control channel may leave at once
    if (run_.empty()) return std::nullopt;
    const Clock::time_point until = Clock::now() + kFirstRankWithin;
    if (mine.rank == 0 && mine.kind != CauseKind::own) std::this_thread::sleep_for(kGatherFor);
    const auto ends = [&] { return heard ? heard() : std::vector<RankEnd>{}; };
    const auto waits = [&] { return Clock::now() < until && !is_silent_first(ends()) && !end_of_first() && !is_written(); };
    while (mine.rank != 0 && waits()) std::this_thread::sleep_for(20ms);
    std::optional<Verdict> verdict = verdict_of(with_own(mine, ends()));
    if (verdict && write(*verdict)) return verdict;
  } catch (const std::exception& e) {
    complain(e.what());
  }
  return std::nullopt;
}

bool LastWord::say(Verdict verdict) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    return attempt_ != 0 && write(verdict);
  } catch (const std::exception& e) {
    complain(e.what());
  }
  return false;
}

std::vector<RankEnd> LastWord::with_own(const RankEnd& mine, std::vector<RankEnd> ends) {
  const auto is_there = [&](int rank) { return std::any_of(ends.begin(), ends.end(), [&](const RankEnd& e) { return e.rank == rank; }); };
  if (!is_there(mine.rank)) ends.push_back(mine);
  if (mine.rank != 0 && !is_there(0))
    if (const auto first = end_of_first()) ends.push_back(*first);
  return ends;
}

bool LastWord::is_said() const noexcept {
  try {
    const std::lock_guard lock(mutex_);
    return !run_.empty() && is_written();
  } catch (const std::exception&) {  // who cannot read it may say it again
    return false;
  }
}

std::optional<Verdict> LastWord::recorded() const noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (run_.empty()) return std::nullopt;
    const int before = attempt_ != 0 ? attempt_ - 1 : RunDirectory::attempts_before(before_, RunDirectory::folder_number(run_));
    return RunDirectory::recorded_end(run_, before);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

bool LastWord::is_written() const {
  if (attempt_ != 0) return RunDirectory::has_ended(run_, attempt_);
  const RunDirectory::Seen now = RunDirectory::look(run_);
  return now.attempt > RunDirectory::attempts_before(before_, now.folder) && now.has_ended;
}

/// In a job that is started again and again, the third end of one step is final: code 70 ends the chain. `verdict` is what is written.
bool LastWord::write(Verdict& verdict) const {
  const std::optional<RunOwner> holder = RunLock::holder(run_);
  if (attempt_ != 0 && (!holder || holder->nonce != first_->nonce)) return false;  // given back in order, or another attempt's by now
  if (verdict.code == static_cast<int>(ExitCode::comm) && is_requeued_job()) {
    RepeatedEnd same = RepeatedEnd::in_events_of(run_);
    if (same.add(verdict)) verdict = same.final_verdict(verdict, run_);
  }
  return attempt_ != 0 ? RunDirectory::end_once(run_, attempt_, verdict)
                       : RunDirectory::append_verdict(run_, verdict, own_watcher(), before_);
}

bool LastWord::first_has_died() const {
  const std::lock_guard lock(mutex_);
  return first_ && !is_alive_here(*first_).value_or(true);
}

/// Rank 0's process has died on this machine, and did not say why.
std::optional<RankEnd> LastWord::end_of_first() {
  if (!first_ || is_alive_here(*first_).value_or(true)) return std::nullopt;
  RankEnd out = {.rank = 0, .host = first_->host, .process = first_->pid, .memory_kills = kills_.count()};
  // Its end is known when its parent has asked for it, a moment after its death.
  for (int i = 0; first_process_ && i < 20 && !(out.status = first_process_->status()); ++i) std::this_thread::sleep_for(5ms);
  return out;
}

}  // namespace chorale
