// Opening checkpoints: everything is verified before anything is used.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include <chorale/core/base/log.hpp>
#include <chorale/core/io/manifest.hpp>
#include <chorale/core/io/safetensors_file.hpp>

namespace chorale {

/// A checkpoint; verified, unless described_checkpoint() made it. Read-only, so any thread may look.
class Checkpoint {
 public:
  const Manifest& manifest() const { return manifest_; }
  const std::filesystem::path& folder() const { return folder_; }
  bool has(const std::string& name) const;
  /// Throws CheckpointError when the checkpoint has no such file, or it is no sound safetensors file.
  SafetensorsFile tensors(const std::string& name) const;
  /// Throws CheckpointError when the checkpoint has no such file, or it is longer than 256 MiB.
  std::string text(const std::string& name) const;

 private:
  friend Checkpoint described_checkpoint(const std::filesystem::path& folder, Manifest manifest);
  std::filesystem::path path_of(const std::string& name) const;
  std::filesystem::path folder_;
  Manifest manifest_;
};

/// What `manifest` says of `folder`; nothing is read, and verify_share() is still to be called.
Checkpoint described_checkpoint(const std::filesystem::path& folder, Manifest manifest);
/// The same by its own manifest, with its files there in their sizes. Throws CheckpointError.
Checkpoint described_checkpoint(const std::filesystem::path& folder);
/// The same of CHECKPOINTS/step_N, which must hold the step that its name says.
Checkpoint described_step(const std::filesystem::path& checkpoints, std::int64_t step);

/// One of several that verify a checkpoint together: reads and hashes the share_of its blocks, counted over all files in order, that
/// `place` of `count` has. Throws CheckpointError that names file, bytes and tensor, IoError when the disk fails.
void verify_share(const Checkpoint& checkpoint, int place, int count);

/// Reads every byte once. Throws CheckpointError that says what differs: no manifest, a newer version, the manifest's own hash,
/// a file that is missing, its size, its hash. IoError when the disk fails.
Checkpoint open_checkpoint(const std::filesystem::path& folder);

/// The same of CHECKPOINTS/step_N, which must hold the step that its name says: a folder that was renamed or copied over another would
/// bring back another one.
Checkpoint open_step(const std::filesystem::path& checkpoints, std::int64_t step);

/// The newest sound checkpoint of a run. Each unsound one that is passed over is an error line of the log, leftovers of unfinished ones are
/// warnings. Empty when there is no checkpoint at all; CheckpointError with all reasons when there are some and none is sound.
/// For one rank alone: another could see another folder on a network file system. It tells the others the folder.
std::optional<Checkpoint> newest_valid_checkpoint(const std::filesystem::path& checkpoints, Log& log);

}  // namespace chorale
