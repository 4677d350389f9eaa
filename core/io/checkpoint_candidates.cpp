#include <chorale/core/io/checkpoint_candidates.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>

namespace chorale {

CheckpointCandidates::CheckpointCandidates(std::filesystem::path checkpoints, Log& log) : checkpoints_(std::move(checkpoints)), log_(log) {
  CheckpointListing listing = list_checkpoints(checkpoints_);
  for (const std::filesystem::path& leftover : listing.leftovers)
    log_.warning("left by an attempt that did not finish: " + leftover.string());
  steps_ = std::move(listing.steps);
}

std::optional<Checkpoint> CheckpointCandidates::next() {
  while (!steps_.empty()) {
    trying_ = steps_.back();
    steps_.pop_back();
    try {
      return described_step(checkpoints_, trying_);
    } catch (const Error& error) {
      pass_over(error.what());
    }
  }
  if (!reasons_.empty()) throw CheckpointError("no sound checkpoint in " + checkpoints_.string() + ":" + reasons_);
  return {};
}

void CheckpointCandidates::pass_over(const std::string& why) {
  log_.error("the checkpoint of step " + std::to_string(trying_) + " cannot be used: " + why);
  reasons_ += "\n  " + why;
}

void CheckpointCandidates::take(const Checkpoint& checkpoint) {
  if (!reasons_.empty())
    log_.error("falling back to the checkpoint of step " + std::to_string(trying_) + ": " + checkpoint.folder().string());
}

}  // namespace chorale
