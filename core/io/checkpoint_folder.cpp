#include <chorale/core/io/checkpoint_folder.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

namespace {

constexpr std::string_view kPrefix = "step_";

/// The step of "step_N", and of nothing else: no sign, no leading zero, no overflow.
std::optional<std::int64_t> step_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return {};
  const std::string_view digits = name.substr(kPrefix.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (error != std::errc() || step < 0 || checkpoint_name(step) != name) return {};
  return step;
}

}  // namespace

std::string checkpoint_name(std::int64_t step) { return std::string(kPrefix) + std::to_string(step); }

CheckpointListing list_checkpoints(const std::filesystem::path& checkpoints) {
  CheckpointListing listing;
  std::error_code error;
  std::filesystem::directory_iterator it(checkpoints, error);
  if (error == std::errc::no_such_file_or_directory) return listing;
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    const std::size_t tmp = name.find(".tmp.");
    if (const auto step = step_of(name)) listing.steps.push_back(*step);
    if (tmp != std::string::npos && step_of(name.substr(0, tmp))) listing.leftovers.push_back(it->path());
  }
  if (error) throw IoError("[list checkpoints] " + checkpoints.string() + ": " + error.message());
  std::sort(listing.steps.begin(), listing.steps.end());
  std::sort(listing.leftovers.begin(), listing.leftovers.end());
  return listing;
}

void remove_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) throw IoError("[remove] " + folder.string() + ": " + error.message());
}

void remove_leftovers(const std::filesystem::path& checkpoints) {
  for (const std::filesystem::path& leftover : list_checkpoints(checkpoints).leftovers) remove_folder(leftover);
}

void remove_checkpoint(const std::filesystem::path& checkpoints, std::int64_t step, const std::string& token) {
  const std::filesystem::path folder = checkpoints / checkpoint_name(step);
  const std::filesystem::path removed = checkpoints / (checkpoint_name(step) + ".tmp.removed." + token);
  remove_folder(removed);
  rename_and_sync(folder, removed);
  remove_folder(removed);
}

}  // namespace chorale
