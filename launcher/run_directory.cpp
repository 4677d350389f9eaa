#include <chorale/launcher/run_directory.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/core/io/removal_place.hpp>
#include <chorale/launcher/attempt_records.hpp>
#include <chorale/launcher/folder_guard.hpp>
#include <chorale/launcher/run_events.hpp>
#include <chorale/launcher/slurm/job_state.hpp>
#include <chorale/launcher/slurm/own_job.hpp>
#include <chorale/launcher/supervisor/repeated_end.hpp>
#include <chorale/launcher/utc_time.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {
std::string default_path(const std::string& name) {
  char stamp[32];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", ::localtime_r(&now, &local));
  return "runs/" + name + "-" + stamp;
}

/// Nothing has begun there: no folder, or one that holds at most the ends of attempts that have not begun.
bool is_unused(const fs::path& path) {
  std::error_code failed;
  if (!fs::exists(path, failed)) return true;
  for (fs::directory_iterator it(path, failed), end; !failed && it != end; it.increment(failed))
    if (it->path().filename() != "events.jsonl") return false;
  return !failed;
}

/// Of the newest checkpoint; null: there is none.
nlohmann::ordered_json newest_step(const fs::path& run) {
  const std::vector<std::int64_t> steps = list_checkpoints(run / "checkpoints").steps;
  return steps.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(steps.back());
}

struct LastAttempt {
  int number = 0;
  bool has_ended = false;
  std::string watcher = {};  // of its start
  std::string job = {};      // of its start too
};

LastAttempt last_attempt(const fs::path& run) {
  LastAttempt last;
  for_each_event(run, [&](const nlohmann::ordered_json& json, int number) {
    if (number < last.number) return;
    last.has_ended = text_in(json, "event") == "end";
    if (number > last.number || !last.has_ended) last.watcher = text_in(json, "watcher"), last.job = text_in(json, "job");
    last.number = number;
  });
  return last;
}

/// Ends of attempts under our own watcher that came before they could replace `old`, in whose lines they were written.
void take_over_ends(const fs::path& old, const fs::path& run) {
  int attempt = 0;
  for_each_event(old, [&](nlohmann::ordered_json& json, int) {
    if (text_in(json, "event") != "end" || text_in(json, "watcher") != own_watcher()) return;
    json["attempt"] = ++attempt, json["checkpoint"] = nullptr;
    append_event(run, json);
  });
}

/// Of an attempt that is over and has none: whoever would have written it has gone too.
Verdict unrecorded_end(const LastAttempt& last) {
  const bool is_same_job = is_requeued_job() && !last.job.empty() && last.job == own_job();
  return {.code = static_cast<int>(ExitCode::comm),
          .cause = is_same_job ? "no end was recorded; the job was started again by Slurm"
                               : "no end was recorded; its ranks and who watched them have gone",
          .step = -1};
}
}  // namespace

RunDirectory::RunDirectory(const Options& options)
    : path_(options.path.empty() ? default_path(options.name) : options.path), options_(options) {
  if (options.resume && options.overwrite) throw UsageError("--resume goes on with a run and --overwrite replaces it; give one of them");
  std::error_code ignored;
  if (is_unused(path_) || options.resume) return;
  if (!options.overwrite)
    throw UsageError("run directory " + path_.string() +
                     (options.may_overwrite ? " exists; give another --run-dir, --resume to go on, or --overwrite to replace it"
                                            : " exists; give another --run-dir, or --resume to go on with the run in it"));
  if (!fs::exists(path_ / "recipe.resolved.ini", ignored))
    throw UsageError("--overwrite: " + path_.string() +
                     " holds no run (no recipe.resolved.ini), so it is not replaced; give another --run-dir");
}

void RunDirectory::claim(double deadline_s, const std::function<void(const std::string&)>& say) {
  deadline_s_ = deadline_s, say_ = say;
  std::error_code ignored;
  if (fs::is_directory(path_, ignored)) lock_ = std::make_unique<RunLock>(path_, this_owner(deadline_s_), say_);
}

void RunDirectory::start(const std::string& recipe_text) {
  std::error_code failed;
  fs::path old;
  if (options_.overwrite && fs::exists(path_)) {
    old = path_.string() + ".old." + std::to_string(::getpid());
    lock_.reset();  // it goes by its path, which the new folder takes
    fs::rename(path_, old, failed);
    if (failed) throw IoError(path_.string() + ": cannot be moved aside: " + failed.message());
  }
  const bool was_there = fs::exists(path_, failed);
  try {
    fill(recipe_text, old);
  } catch (...) {
    const bool made_here = !was_there && lock_;
    lock_.reset();
    if (made_here) fs::remove_all(path_, failed);
    if (!old.empty()) fs::rename(old, path_, failed);
    throw;
  }
  if (!old.empty()) fs::remove_all(old, failed);
}

void RunDirectory::fill(const std::string& recipe_text, const fs::path& old) {
  std::error_code failed;
  fs::create_directories(path_, failed);
  if (failed) throw IoError(path_.string() + ": cannot be made: " + failed.message());
  if (!lock_) lock_ = std::make_unique<RunLock>(path_, this_owner(deadline_s_), say_);
  fs::create_directories(path_ / "checkpoints", failed);
  if (!failed) fs::create_directories(path_ / "logs", failed);
  if (failed) throw IoError(path_.string() + ": cannot be made: " + failed.message());
  for (const char* folder : {"checkpoints", "logs"})
    (void)RemovalPlace(path_ / folder);  // a link of others is refused now, not in the middle
  remove_leftovers(path_ / "checkpoints");
  remove_drafts(path_);
  write_file_atomically(path_ / "recipe.resolved.ini", recipe_text);
  if (!old.empty() && !own_watcher().empty()) take_over_ends(old, path_);
  const LastAttempt before = last_attempt(path_);
  close_last(path_);
  keep_records(path_, before.number);
  attempt_ = before.number + 1;
  event(path_, attempt_, "start", {}, false, own_job(), own_watcher());
}

void RunDirectory::must_be_ours() const {
  if (lock_) lock_->must_be_ours();
}

void RunDirectory::end(const Verdict& verdict) const {
  must_be_ours();
  end_once(path_, attempt_, verdict);
}

bool RunDirectory::has_ended(const fs::path& run, int attempt) {
  const LastAttempt last = last_attempt(run);
  return last.number > attempt || (last.number == attempt && last.has_ended);
}

bool RunDirectory::end_once(const fs::path& run, int attempt, const Verdict& verdict) {
  const FolderGuard guard(run);
  if (has_ended(run, attempt)) return false;
  event(run, attempt, "end", verdict, true, own_job());
  return true;
}

void RunDirectory::close_last(const fs::path& run) {
  const LastAttempt last = last_attempt(run);
  if (last.number > 0 && !last.has_ended) event(run, last.number, "end", unrecorded_end(last), true, last.job);
}

void RunDirectory::submitted(const std::string& job) const { event(path_, 0, "submit", {}, false, job); }

RunDirectory::Seen RunDirectory::look(const fs::path& run) {
  const std::optional<RunOwner> holder = RunLock::holder(run);
  const LastAttempt last = last_attempt(run);
  return {folder_number(run), holder ? holder->nonce : "", last.number, last.has_ended, last.watcher};
}

std::uint64_t RunDirectory::folder_number(const fs::path& run) {
  struct stat status {};
  return ::stat(run.c_str(), &status) == 0 ? status.st_ino : 0;
}

std::optional<Verdict> RunDirectory::recorded_end(const fs::path& run, int after) {
  std::optional<Verdict> out;
  for_each_event(run, [&](const nlohmann::ordered_json& json, int number) { out = number > after ? end_in(json) : std::nullopt; });
  return out;
}

bool RunDirectory::append_verdict(const fs::path& run, const Verdict& verdict, const std::string& watcher, const Seen& before) {
  if (verdict.code == static_cast<int>(ExitCode::owned)) return false;  // the folder is another attempt's, and so are its lines
  std::error_code failed;
  // Another start will go on in it.
  if (verdict.code == static_cast<int>(ExitCode::comm)) fs::create_directories(run, failed);
  if (!fs::is_directory(run, failed)) return false;
  const FolderGuard guard(run);  // who takes a lock over waits for it
  const std::optional<RunOwner> holder = RunLock::holder(run);
  const LastAttempt last = last_attempt(run);
  const int attempts_before = RunDirectory::attempts_before(before, folder_number(run));
  const bool is_foreign = holder && holder->watcher != watcher && is_alive_here(*holder).value_or(true);
  if (is_foreign && holder->nonce == before.lock) return false;
  if (last.number > attempts_before && last.watcher == watcher && last.has_ended) return false;
  if (is_foreign || (last.number > attempts_before && last.watcher != watcher))
    throw OwnedError("run directory " + run.string() + " has another owner now (" +
                     (holder ? owner_text(*holder) : "attempt " + std::to_string(last.number)) +
                     "); this attempt's verdict is not written there: " + verdict.cause);
  const bool is_under_way = last.number > attempts_before && !last.has_ended;  // else it ended before it could say that it began
  if (!is_under_way && verdict.code == static_cast<int>(ExitCode::interrupted)) return false;  // it has not begun
  if (!is_under_way) close_last(run);
  event(run, last.number + (is_under_way ? 0 : 1), "end", verdict, true, own_job(), is_under_way ? "" : watcher);
  return true;
}

void RunDirectory::event(const fs::path& run, int attempt, const std::string& name, const Verdict& v, bool has_ended,
                         const std::string& job, const std::string& watcher) {
  using Json = nlohmann::ordered_json;
  Json json = {{"time", utc_now()}, {"attempt", attempt}, {"event", name}};
  json["rank"] = v.rank >= 0 ? Json(v.rank) : Json(nullptr);
  json["where"] = v.where;
  json["step"] = has_ended && v.step >= 0 ? Json(v.step) : Json(nullptr);
  json["code"] = has_ended ? Json(v.code) : Json(nullptr);
  json["cause"] = v.cause;
  if (has_ended) json["checkpoint"] = newest_step(run);
  if (!watcher.empty()) json["watcher"] = watcher;
  if (!job.empty()) json["job"] = job;
  const bool is_submit = name == "submit";
  if (const std::string cluster = job.empty() || has_ended ? "" : is_submit ? cluster_name() : own_cluster(); !cluster.empty())
    json["cluster"] = cluster;
  append_event(run, json);
}

}  // namespace chorale
