#include <chorale/core/io/checkpoint.hpp>

#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

namespace {

void verify_file(const std::filesystem::path& folder, const CheckpointFile& file) {
  const std::filesystem::path path = folder / file.name;
  if (!std::filesystem::is_regular_file(path)) throw CheckpointError(path.string() + ": is missing, the manifest names it");
  const std::uint64_t bytes = File::open_read(path).size();
  if (bytes != file.bytes)
    throw CheckpointError(path.string() + ": has " + std::to_string(bytes) + " bytes, the manifest says " + std::to_string(file.bytes) +
                          (bytes < file.bytes ? "; it was cut" : "; something was added"));
  if (const std::string hash = file_hash(path); hash != file.hash)
    throw CheckpointError(path.string() + ": has the hash " + hash + ", the manifest says " + file.hash + "; its bytes were damaged");
}

/// A folder that was renamed or copied over another would bring back another step than its name says.
Checkpoint open_step(const std::filesystem::path& checkpoints, std::int64_t step) {
  Checkpoint checkpoint = open_checkpoint(checkpoints / checkpoint_name(step));
  if (checkpoint.manifest().step != step)
    throw CheckpointError(checkpoint.folder().string() + ": holds step " + std::to_string(checkpoint.manifest().step) +
                          ", not the one its name says");
  return checkpoint;
}

}  // namespace

Checkpoint open_checkpoint(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) throw CheckpointError(folder.string() + ": is no folder; expected a checkpoint");
  const std::filesystem::path manifest = folder / kManifestName;
  if (!std::filesystem::is_regular_file(manifest))
    throw CheckpointError(folder.string() + ": has no " + kManifestName + ", so it is no finished checkpoint");
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  checkpoint.manifest_ = parse_manifest(read_text(manifest), manifest.string());
  for (const CheckpointFile& file : checkpoint.manifest_.files) verify_file(folder, file);
  return checkpoint;
}

bool Checkpoint::has(const std::string& name) const {
  return std::any_of(manifest_.files.begin(), manifest_.files.end(), [&](const CheckpointFile& file) { return file.name == name; });
}

std::filesystem::path Checkpoint::path_of(const std::string& name) const {
  if (has(name)) return folder_ / name;
  std::string text = folder_.string() + ": has no file '" + name + "'; it holds";
  for (const CheckpointFile& file : manifest_.files) text += " " + file.name;
  throw CheckpointError(text);
}

SafetensorsFile Checkpoint::tensors(const std::string& name) const { return SafetensorsFile(path_of(name)); }

std::string Checkpoint::text(const std::string& name) const { return read_text(path_of(name)); }

std::optional<Checkpoint> newest_valid_checkpoint(const std::filesystem::path& checkpoints, Log& log) {
  const CheckpointListing listing = list_checkpoints(checkpoints);
  for (const std::filesystem::path& leftover : listing.leftovers)
    log.warning("left by an attempt that did not finish: " + leftover.string());
  std::string reasons;
  for (auto step = listing.steps.rbegin(); step != listing.steps.rend(); ++step) {
    try {
      Checkpoint checkpoint = open_step(checkpoints, *step);
      if (!reasons.empty())
        log.error("falling back to the checkpoint of step " + std::to_string(*step) + ": " + checkpoint.folder().string());
      return checkpoint;
    } catch (const Error& error) {
      log.error("the checkpoint of step " + std::to_string(*step) + " cannot be used: " + error.what());
      reasons += std::string("\n  ") + error.what();
    }
  }
  if (!reasons.empty()) throw CheckpointError("no sound checkpoint in " + checkpoints.string() + ":" + reasons);
  return {};
}

}  // namespace chorale
