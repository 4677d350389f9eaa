// What a checkpoint says of itself. manifest.json is written last: a folder without it was never finished.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace chorale {

inline constexpr std::int64_t kCheckpointVersion = 2;
inline constexpr char kManifestName[] = "manifest.json";

/// A file of a checkpoint: its size and the xxh3-128 of each of its blocks of 1 MiB.
struct CheckpointFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::vector<std::string> blocks;
};

/// How good the parameters were, where the step was evaluated.
struct CheckpointScore {
  std::string name;  // "validation.auc"
  double value = 0;
  bool higher_is_better = false;
};

struct Manifest {
  std::int64_t version = kCheckpointVersion;
  std::int64_t step = 0;
  std::string fields = "{}";  // a JSON object of the caller's: sampler cursor, virtual workers, seeds, hash of the recipe
  std::optional<CheckpointScore> score = {};
  std::vector<CheckpointFile> files = {};
};

/// The text of manifest.json. It ends with its own hash, in every version:
///   ,\n "hash": "<xxh3-128 of all bytes before this comma>"\n}\n
/// Throws UsageError when `fields` is no JSON object or a file's name is no plain name.
std::string manifest_text(const Manifest& manifest);

/// Throws CheckpointError, naming `path`, for damage, for something that is no manifest and for one of another version.
Manifest parse_manifest(const std::string& text, const std::string& path);

/// Reads folder/manifest.json, of 64 MiB at most. Throws CheckpointError also when there is none, IoError when the disk fails.
Manifest read_manifest(const std::filesystem::path& folder);

}  // namespace chorale
