#include <chorale/train/shared_verification.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint_candidates.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/train/agreement.hpp>

namespace chorale {

std::string first_complaint(Communicator& comm, const std::string& mine, Label label) {
  for (const auto& bytes : all_gather_bytes(comm, std::as_bytes(std::span(mine)), label))
    if (!bytes.empty()) return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return "";
}

std::optional<Checkpoint> newest_valid_together(Communicator& comm, const std::filesystem::path& checkpoints, Log& log) {
  std::optional<CheckpointCandidates> candidates;
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
