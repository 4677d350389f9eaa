#include <chorale/launcher/attempt_records.hpp>

#include <charconv>
#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/io/removal_place.hpp>

namespace chorale {

namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPrefix = "attempt_";
constexpr std::size_t kKept = 5;  // a job that Slurm starts again and again must not fill the disk

bool is_flight(std::string_view name) { return name.starts_with("flight_rank_") && name.ends_with(".json"); }
bool is_record(std::string_view name) { return is_flight(name) || (name.starts_with("backtrace_rank_") && name.ends_with(".txt")); }

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) out.push_back(it->path());
  return out;
}

/// The folders of earlier attempts, by number. A link is none.
std::map<int, fs::path> attempts_in(const fs::path& logs) {
  std::map<int, fs::path> out;
  for (const fs::path& path : entries_of(logs)) {
    const std::string name = path.filename().string();
    std::error_code ignored;
    int number = 0;
    if (!name.starts_with(kPrefix) || !fs::is_directory(fs::symlink_status(path, ignored))) continue;
    const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) out[number] = path;
  }
  return out;
}

void move_records(const fs::path& logs, int attempt) {
  const fs::path kept = logs / (std::string(kPrefix) + std::to_string(attempt));
  std::error_code ignored;
  for (const fs::path& path : entries_of(logs)) {
    if (!is_record(path.filename().string())) continue;
    fs::create_directory(kept, ignored);
    if (!fs::is_directory(fs::symlink_status(kept, ignored))) return;
    fs::rename(path, kept / path.filename(), ignored);
  }
  std::map<int, fs::path> attempts = attempts_in(logs);
  if (attempts.size() <= kKept) return;
  const RemovalPlace place(logs);
  for (; attempts.size() > kKept; attempts.erase(attempts.begin())) place.remove(attempts.begin()->second.filename().string());
}

}  // namespace

void remove_drafts(const fs::path& run) noexcept {
  try {
    static const std::regex draft(
        R"((summary\.json|recipe\.resolved\.ini|sharing\.jsonl|trace\.json|batch_step_\d+\.json)\.tmp\.\d+\.\d+)");
    std::error_code ignored;
    for (const fs::path& folder : {run, run / "logs"}) {
      const bool is_named = folder == run;  // by the user: where it is a link, it is meant
      const RemovalPlace place(is_named ? folder / "." : folder);
      for (const fs::path& path : entries_of(place.path()))
        if (std::regex_match(path.filename().string(), draft) && fs::is_regular_file(fs::symlink_status(path, ignored)))
          fs::remove(path, ignored);
    }
  } catch (...) {  // of memory, or a link of others, which start() refuses
  }
}

void keep_records(const fs::path& run, int attempt) noexcept {
  try {
    move_records(run / "logs", attempt);
  } catch (...) {  // of memory
  }
}

fs::path newest_records(const fs::path& run) {
  std::vector<fs::path> folders;
  for (const auto& [number, path] : attempts_in(run / "logs")) folders.insert(folders.begin(), path);
  folders.insert(folders.begin(), run / "logs");
  for (const fs::path& folder : folders)
    for (const fs::path& path : entries_of(folder))
      if (is_flight(path.filename().string())) return folder;
  return {};
}

}  // namespace chorale
