#include <chorale/launcher/run_status.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/manifest.hpp>
#include <chorale/core/io/text_lines.hpp>
#include <chorale/launcher/run_events.hpp>
#include <chorale/launcher/slurm/job_state.hpp>

namespace chorale {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kMostWhole = 1e15;     // files are others' words: nothing is counted further
constexpr double kSilentSeconds = 120;  // a step, an evaluation or a save may take a while; longer than the watchdog's deadline

/// The last line of each event since the last start or submit, with the start before a submit. A line that is cut or foreign says nothing.
std::map<std::string, Json> last_lines(const fs::path& file) {
  std::map<std::string, Json> out;
  TextLines in(file);
  for (std::string line; in.next(line);) {
    Json j = Json::parse(line, nullptr, false);
    if (!j.is_object() || !j.contains("event") || !j["event"].is_string()) continue;
    const std::string event = j["event"];
    if (event == "submit") out.erase("end");  // it is to go on, in another job
    if (event == "start") std::erase_if(out, [](const auto& each) { return each.first != "submit"; });
    out[event] = std::move(j);
  }
  return out;
}

Json last_of(const std::map<std::string, Json>& lines, const char* event) {
  const auto found = lines.find(event);
  return found == lines.end() ? Json::object() : found->second;
}

/// N of seed_N; -1: it is called otherwise.
std::int64_t number_of_seed(const fs::path& folder) {
  const std::string name = folder.filename().string();
  const bool is_seed =
      name.starts_with("seed_") && name.size() > 5 && name.size() < 20 && name.find_first_not_of("0123456789", 5) == std::string::npos;
  return is_seed ? std::stoll(name.substr(5)) : -1;
}

double number(const Json& j, const char* key, double otherwise) {
  return j.contains(key) && j[key].is_number() ? j[key].get<double>() : otherwise;
}
std::int64_t whole(const Json& j, const char* key, std::int64_t otherwise) {
  return j.contains(key) && j[key].is_number() ? static_cast<std::int64_t>(std::clamp(j[key].get<double>(), -kMostWhole, kMostWhole))
                                               : otherwise;
}

/// Files are others' words: what could move a terminal's cursor is left out.
std::string text(const Json& j, const char* key) {
  std::string out = j.contains(key) && j[key].is_string() ? j[key].get<std::string>() : "";
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 32 || c == 127; }, ' ');
  return out;
}

std::int64_t newest_checkpoint(const fs::path& run) {
  std::int64_t newest = -1;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("step_") || name.find_first_not_of("0123456789", 5) != std::string::npos || name.size() > 23 || name.size() == 5)
      continue;
    if (fs::exists(entry.path() / kManifestName, ignored)) newest = std::max<std::int64_t>(newest, std::stoll(name.substr(5)));
  }
  return newest;
}

/// Since anything of the run was written, by this machine's clock.
double quiet_seconds(const fs::path& run) {
  double least = -1;
  const auto look = [&](const fs::path& path) {
    std::error_code failed;
    const auto at = fs::last_write_time(path, failed);
    if (failed) return;
    const double age = std::max(0.0, std::chrono::duration<double>(fs::file_time_type::clock::now() - at).count());
    if (least < 0 || age < least) least = age;
  };
  for (const char* name : {"metrics.jsonl", "events.jsonl", "checkpoints"}) look(run / name);
  std::error_code ignored;
  for (const char* folder : {"logs", "checkpoints"})
    for (const auto& entry : fs::directory_iterator(run / folder, ignored)) look(entry.path());
  return least;
}

void judge_end(RunStatus& s, const Json& end) {
  s.code = whole(end, "code", -1);
  const std::string cause = text(end, "cause");
  s.why = cause;
  if (s.code == 0)
    s.state = cause == "early_stopped" ? cause : "done";
  else if (s.code == static_cast<int>(ExitCode::requeue))
    s.state = "saved", s.why = "it was asked to save and goes on when it is started with --resume";
  else if (s.code == static_cast<int>(ExitCode::interrupted))
    s.state = "interrupted";
  else
    s.state = "failed";
}

/// Of a run without a verdict. job: as Slurm has it.
void judge_open(RunStatus& s, const JobState& job, bool has_started) {
  const bool waits = job.kind == JobState::Kind::waiting;
  const bool is_over = job.kind == JobState::Kind::over || job.kind == JobState::Kind::forgotten;
  if (waits)
    s.state = "queued", s.why = has_started || s.checkpoint >= 0 ? "it goes on from its newest checkpoint" : "it has not started yet";
  else if (is_over)
    s.state = "lost", s.why = "the job has ended and the run left no verdict; see the job's output";
  else if (!has_started && job.kind == JobState::Kind::running)
    s.state = "starting", s.why = "the job runs, and its ranks have not begun yet";
  else if (!has_started)
    s.state = "queued", s.why = s.checkpoint >= 0 ? "it goes on from its newest checkpoint" : "it has not started yet";
  else if (s.quiet_seconds > kSilentSeconds)
    s.state = "silent", s.why = fmt::format("nothing was written for {:.0f} s by this machine's clock", s.quiet_seconds);
  else
    s.state = "running";
}

/// What a start or a submit has written of its job.
struct NamedJob {
  std::string job, cluster;
};
NamedJob job_in(const Json& event) { return {text(event, "job"), text(event, "cluster")}; }

/// The last line that says so is a submit's: no rank of its job has begun yet.
bool is_submitted_anew(const fs::path& run) {
  bool out = false;
  for_each_event(run, [&](const Json& json, int) {
    const std::string event = text_in(json, "event");
    if (event == "start" || event == "submit") out = event == "submit";
  });
  return out;
}

/// Of a task of an array whose folder is there before its ranks have begun; an empty number: it is none.
NamedJob job_of_seed(const fs::path& seed) {
  const fs::path path = fs::absolute(seed).lexically_normal();
  const fs::path folder = path.has_filename() ? path : path.parent_path();
  std::error_code ignored;
  if (number_of_seed(folder) < 0 || !fs::is_directory(folder, ignored)) return {};
  const NamedJob array = job_in(last_of(last_lines(folder.parent_path() / "events.jsonl"), "submit"));
  if (array.job.empty()) return {};
  return {array.job + "_" + std::to_string(number_of_seed(folder)), array.cluster};
}

}  // namespace

RunStatus run_status(const fs::path& run) {
  const auto events = last_lines(run / "events.jsonl");
  const auto metrics = last_lines(run / "metrics.jsonl");
  if (const NamedJob seed = events.empty() ? job_of_seed(run) : NamedJob(); !seed.job.empty()) {
    RunStatus s;
    s.job = seed.job;
    const JobState state = job_state(seed.job, seed.cluster);
    s.job_state = state.text();
    judge_open(s, state, false);
    return s;
  }
  if (events.empty())
    throw UsageError(run.string() + " holds no run (no events.jsonl): name the folder that --run-dir of train or submit named");
  RunStatus s;
  const Json start = last_of(events, "start"), begun = last_of(metrics, "start"), step = last_of(metrics, "step");
  s.attempt = whole(start, "attempt", 0);
  const bool is_to_go_on = is_submitted_anew(run);
  const NamedJob named = job_in(is_to_go_on || text(start, "job").empty() ? last_of(events, "submit") : start);
  s.job = named.job;
  s.step = std::max(whole(begun, "step", 0), whole(step, "step", 0));
  s.total_steps = whole(begun, "total_steps", 0);
  s.checkpoint = newest_checkpoint(run);
  s.samples_per_second = number(step, "samples_per_second", 0);
  s.quiet_seconds = quiet_seconds(run);
  if (s.samples_per_second > 0 && s.total_steps > s.step)
    s.seconds_left = static_cast<double>((s.total_steps - s.step) * whole(begun, "batch", 0)) / s.samples_per_second;
  const JobState job = job_state(named.job, named.cluster);
  s.job_state = job.text();
  if (!events.contains("end")) {
    judge_open(s, job, events.contains("start") && !is_to_go_on);
    return s;
  }
  judge_end(s, events.at("end"));
  s.step = std::max(s.step, whole(events.at("end"), "step", 0));
  if (s.state == "saved" && job.kind == JobState::Kind::waiting) s.state = "queued", s.why = "it goes on from its newest checkpoint";
  return s;
}

std::string status_text(const RunStatus& s) {
  std::string out = fmt::format("state       {}{}\n", s.state, s.why.empty() ? "" : ": " + s.why);
  if (s.total_steps > 0)
    out += fmt::format("step        {} of {} ({:.1f} %), attempt {}\n", s.step, s.total_steps,
                       100.0 * static_cast<double>(s.step) / static_cast<double>(s.total_steps), s.attempt);
  if (s.samples_per_second > 0) out += fmt::format("speed       {:.0f} samples/s\n", s.samples_per_second);
  if (s.state == "running" && s.seconds_left >= 0) {
    const auto left = static_cast<std::int64_t>(s.seconds_left);
    out += fmt::format("time left   {}:{:02}:{:02} at most, evaluations not counted\n", left / 3600, left / 60 % 60, left % 60);
  }
  out += "checkpoint  " + (s.checkpoint >= 0 ? fmt::format("step {}", s.checkpoint) : std::string("none")) + "\n";
  if (s.quiet_seconds >= 0) out += fmt::format("last word   {:.0f} s ago\n", s.quiet_seconds);
  if (!s.job.empty()) out += fmt::format("job         {}{}\n", s.job, s.job_state.empty() ? "" : ": " + s.job_state);
  return out;
}

std::string status_json(const RunStatus& s) {
  const Json j = {{"state", s.state},
                  {"why", s.why},
                  {"attempt", s.attempt},
                  {"code", s.code >= 0 ? Json(s.code) : Json(nullptr)},
                  {"step", s.step},
                  {"total_steps", s.total_steps},
                  {"samples_per_second", s.samples_per_second},
                  {"seconds_left", s.seconds_left >= 0 ? Json(s.seconds_left) : Json(nullptr)},
                  {"checkpoint", s.checkpoint >= 0 ? Json(s.checkpoint) : Json(nullptr)},
                  {"quiet_seconds", s.quiet_seconds},
                  {"job", s.job},
                  {"job_state", s.job_state}};
  return j.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

std::vector<fs::path> array_runs(const fs::path& run) {
  std::vector<std::pair<long long, fs::path>> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run, ignored)) {
    if (const std::int64_t seed = number_of_seed(entry.path()); seed >= 0) found.emplace_back(seed, entry.path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> out;
  for (auto& [number, path] : found) out.push_back(std::move(path));
  return out;
}

}  // namespace chorale
