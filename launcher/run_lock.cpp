#include <chorale/launcher/run_lock.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/folder_guard.hpp>

namespace chorale {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::chrono::duration<double> beat_of(const RunOwner& attempt) {
  return std::chrono::duration<double>(std::clamp(attempt.deadline_s / 4, 0.05, 5.0));
}

/// Empty when there is none.
std::string text_in(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return "";
  try {
    return read_text(path);
  } catch (const IoError&) {
    if (!fs::exists(path, ignored)) return "";  // gone in between
    throw;
  }
}

[[noreturn]] void refuse(const fs::path& folder, const std::string& holder) {
  throw OwnedError("run directory " + folder.string() + " is owned by another attempt (" + holder +
                   "); wait for its end, or give another --run-dir");
}

RunOwner owner_in(const std::string& text, const fs::path& file) {
  const std::optional<RunOwner> owner = parse_owner(text);
  if (!owner) throw OwnedError(file.string() + ": is no lock of a run; remove it when you know that no run works there");
  return *owner;
}

}  // namespace

RunLock::RunLock(fs::path folder, const RunOwner& mine, const std::function<void(const std::string&)>& say)
    : folder_(std::move(folder)), mine_(mine) {
  const fs::path draft = folder_ / ("lock.tmp." + mine_.nonce);
  File out = File::create(draft);
  const std::string text = owner_json(mine_);
  out.write_at(0, std::as_bytes(std::span(text)));
  out.sync();
  out.close();
  try {
    while (!link_new(draft)) {
      const std::string held = text_in(file());
      if (held.empty()) continue;  // given back in between
      const RunOwner holder = owner_in(held, file());
      if (!is_over({folder_, mine_, say}, holder)) refuse(folder_, owner_text(holder));
      say("the attempt that held " + folder_.string() + " is over (" + owner_text(holder) + "): this one takes the run directory");
      take_over(draft, holder);
      break;
    }
  } catch (...) {
    ::unlink(draft.c_str());
    throw;
  }
  ::unlink(draft.c_str());
  sync_folder(folder_);
  heart_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
}

RunLock::~RunLock() {
  heart_.request_stop();
  if (heart_.joinable()) heart_.join();
  ::unlink(beat_file(mine_.nonce).c_str());
  try {
    must_be_ours();
    remove_other_beats();
    ::unlink(file().c_str());
  } catch (const Error&) {  // another's by now
  }
}

bool RunLock::link_new(const fs::path& draft) const {
  // A link appears with its content or not at all, also on network file systems.
  if (::link(draft.c_str(), file().c_str()) == 0) return true;
  if (errno != EEXIST) throw_io_error("lock", file());
  return false;
}

void RunLock::take_over(const fs::path& draft, const RunOwner& holder) const {
  // Two that find a stale lock at once: one waits here, and then finds the other's. Where the file system has no such locks, the one that
  // renamed first finds out before it writes.
  const FolderGuard guard(folder_);
  if (!guard.is_open()) throw_io_error("open folder", folder_);
  const std::optional<RunOwner> now = parse_owner(text_in(file()));
  if (!now || now->nonce != holder.nonce) refuse(folder_, now ? owner_text(*now) : "one that came first");
  if (::rename(draft.c_str(), file().c_str()) != 0) throw_io_error("rename to", file());
  ::unlink(beat_file(holder.nonce).c_str());
}

bool RunLock::is_over(const Look& look, const RunOwner& holder) {
  if (const std::optional<bool> alive = is_alive_here(holder)) return !*alive;
  const SlurmWord word = slurm_word(holder, look.mine);
  if (word == SlurmWord::over || word == SlurmWord::alive) return word == SlurmWord::over;
  // A job that Slurm has forgotten is over, unless it is another cluster's of the same name.
  const double wait_s = (word == SlurmWord::forgotten ? 1 : 3) * holder.deadline_s;
  look.say("run directory " + look.folder.string() + " is locked by an attempt elsewhere (" + owner_text(holder) + "); waiting up to " +
           std::to_string(static_cast<std::int64_t>(wait_s)) + " s for a sign of it");
  return heart_has_stopped(look.folder, holder, wait_s);
}

void RunLock::must_be_free(const Look& look) {
  const std::string held = text_in(look.folder / "lock");
  if (held.empty()) return;
  const RunOwner holder = owner_in(held, look.folder / "lock");
  if (!is_over(look, holder)) refuse(look.folder, owner_text(holder));
}

bool RunLock::heart_has_stopped(const fs::path& folder, const RunOwner& holder, double wait_s) {
  const std::string first = text_in(beat_file(folder, holder.nonce));
  const Clock::time_point until = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(wait_s));
  while (Clock::now() < until) {
    std::this_thread::sleep_for(std::min(beat_of(holder), std::chrono::duration<double>(0.5)));
    if (text_in(beat_file(folder, holder.nonce)) != first) return false;
  }
  return true;
}

std::optional<RunOwner> RunLock::holder(const fs::path& folder) {
  try {
    return parse_owner(text_in(folder / "lock"));
  } catch (const IoError&) {
    return std::nullopt;  // who cannot be read cannot be named
  }
}

void RunLock::release_of(const fs::path& folder, const std::string& watcher) noexcept {
  try {
    const FolderGuard guard(folder);  // who takes it over waits
    const std::optional<RunOwner> now = holder(folder);
    const bool is_left = now && !watcher.empty() && now->watcher == watcher && !is_alive_here(*now).value_or(true);
    if (is_left) ::unlink((folder / "lock").c_str()), ::unlink(beat_file(folder, now->nonce).c_str());
  } catch (const std::exception&) {  // the next start takes it over
  }
}

void RunLock::must_be_ours() const {
  const std::optional<RunOwner> holder = parse_owner(text_in(file()));
  if (holder && holder->nonce == mine_.nonce) return;
  throw OwnedError("run directory " + folder_.string() + " has another owner now (" + (holder ? owner_text(*holder) : "its lock is gone") +
                   "); this attempt ends and touches nothing in it");
}

/// Of attempts that were lost, and came back for a moment.
void RunLock::remove_other_beats() const {
  const std::string beats = beat_file("").filename().string();
  std::error_code failed;
  for (fs::directory_iterator entry(folder_, failed), end; !failed && entry != end; entry.increment(failed))
    if (entry->path().filename().string().starts_with(beats)) ::unlink(entry->path().c_str());
}

void RunLock::beat(const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  for (std::uint64_t count = 1; !stop.stop_requested(); ++count) {
    try {
      File file = File::open_write(beat_file(mine_.nonce));
      char text[24];
      std::snprintf(text, sizeof text, "%020llu\n", static_cast<unsigned long long>(count));
      file.write_at(0, std::as_bytes(std::span(text, 21)));
      file.close();             // a network file system writes what is closed
    } catch (const IoError&) {  // a full disk stops no run; a disk that stays so takes the heartbeat, and others may then take over
    }
    wake.wait_for(lock, stop, beat_of(mine_), [] { return false; });
  }
}

}  // namespace chorale
