#include <chorale/core/io/checkpoint_folder.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/removal_place.hpp>

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

void remove_leftovers(const std::filesystem::path& checkpoints, std::string_view part) {
  const std::vector<std::filesystem::path> leftovers = list_checkpoints(checkpoints).leftovers;
  if (leftovers.empty()) return;
  const RemovalPlace place(checkpoints);
  for (const std::filesystem::path& leftover : leftovers)
    if (const std::string name = leftover.filename().string(); name.find(part) != std::string::npos) place.remove(name);
}

void remove_checkpoint(const std::filesystem::path& checkpoints, std::int64_t step, const std::string& token) {
  RemovalPlace(checkpoints).remove_by(checkpoint_name(step), checkpoint_name(step) + ".tmp.removed." + token);
}

}  // namespace chorale
