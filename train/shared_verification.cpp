#include <chorale/train/shared_verification.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/train/agreement.hpp>

namespace chorale {

namespace {

/// Rank 0's: which checkpoints are left to try, newest first.
class Candidates {
 public:
  Candidates(std::filesystem::path checkpoints, Log& log) : checkpoints_(std::move(checkpoints)), log_(log) {
    CheckpointListing listing = list_checkpoints(checkpoints_);
    for (const std::filesystem::path& leftover : listing.leftovers)
      log_.warning("left by an attempt that did not finish: " + leftover.string());
    steps_ = std::move(listing.steps);
  }
  /// The next one whose manifest and sizes are sound. Empty: there are none at all. Throws CheckpointError when all have been passed over.
  std::optional<Checkpoint> next() {
    while (!steps_.empty()) {
      trying_ = steps_.back();
      steps_.pop_back();
      std::optional<Checkpoint> found;
      const std::string why = complaint_of([&] { found = described_step(checkpoints_, trying_); });
      if (found) return found;
      pass_over(why);
    }
    if (!reasons_.empty()) throw CheckpointError("no sound checkpoint in " + checkpoints_.string() + ":" + reasons_);
    return {};
  }
  void pass_over(const std::string& why) {
    log_.error("the checkpoint of step " + std::to_string(trying_) + " cannot be used: " + why);
    reasons_ += "\n  " + why;
  }
  void take(const Checkpoint& checkpoint) {
    if (!reasons_.empty())
      log_.error("falling back to the checkpoint of step " + std::to_string(trying_) + ": " + checkpoint.folder().string());
  }

 private:
  std::filesystem::path checkpoints_;
  Log& log_;
  std::vector<std::int64_t> steps_;
  std::int64_t trying_ = 0;
  std::string reasons_;
};

}  // namespace

std::string first_complaint(Communicator& comm, const std::string& mine, Label label) {
  for (const auto& bytes : all_gather_bytes(comm, std::as_bytes(std::span(mine)), label))
    if (!bytes.empty()) return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return "";
}

std::optional<Checkpoint> newest_valid_together(Communicator& comm, const std::filesystem::path& checkpoints, Log& log) {
  std::optional<Candidates> candidates;
  for (;;) {
    std::optional<Checkpoint> found;
    std::string why, manifest;
    if (comm.rank() == 0) {
      why = complaint_of([&] {
        if (!candidates) candidates.emplace(checkpoints, log);
        if ((found = candidates->next())) manifest = manifest_text(found->manifest());
      });
    }
    why = text_from(comm, 0, why, "checkpoint choice");
    if (!why.empty()) throw CheckpointError(why);
    manifest = text_from(comm, 0, manifest, "checkpoint manifest");
    if (manifest.empty()) return {};
    const Manifest told = parse_manifest(manifest, "rank 0's manifest");
    const Checkpoint checkpoint = described_checkpoint(checkpoints / checkpoint_name(told.step), told);
    const std::string trouble =
        first_complaint(comm, complaint_of([&] { verify_share(checkpoint, comm.rank(), comm.size()); }), "checkpoint verification");
    if (comm.rank() == 0) trouble.empty() ? candidates->take(checkpoint) : candidates->pass_over(trouble);
    if (trouble.empty()) return checkpoint;
  }
}

}  // namespace chorale
