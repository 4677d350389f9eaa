// What a checkpoint says of itself. manifest.json is written last: a folder without it was never finished.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace chorale {

inline constexpr std::int64_t kCheckpointVersion = 1;
inline constexpr char kManifestName[] = "manifest.json";

/// A file of a checkpoint: its size and xxh3-128 (ContentHash).
struct CheckpointFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string hash;
};

struct Manifest {
  std::int64_t version = kCheckpointVersion;
  std::int64_t step = 0;
  std::string fields = "{}";  // a JSON object of the caller's: sampler cursor, virtual workers, seeds, hash of the recipe
  std::vector<CheckpointFile> files;
};

/// The text of manifest.json. It ends with its own hash, in every version:
///   ,\n "hash": "<xxh3-128 of all bytes before this comma>"\n}\n
/// Throws UsageError when `fields` is no JSON object or a file's name is no plain name.
std::string manifest_text(const Manifest& manifest);

/// Throws CheckpointError, naming `path`, for damage, for something that is no manifest and for one of a newer version.
Manifest parse_manifest(const std::string& text, const std::string& path);

}  // namespace chorale
