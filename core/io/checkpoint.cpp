#include <chorale/core/io/checkpoint.hpp>

#include <algorithm>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/io/checkpoint_candidates.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

namespace {

/// The tensor that lies at a byte of a file, as words to append; nothing where the header does not say.
std::string what_lies_at(const std::filesystem::path& path, std::uint64_t offset) {
  try {
    const SafetensorsFile file(path);
    for (const NamedTensor& tensor : file.tensors()) {
      const ByteRange range = file.range_of(tensor);
      if (range.first < offset + kHashBlock && offset < range.last) return " (tensor '" + tensor.name + "')";
    }
  } catch (const Error&) {
  }
  return "";
}

/// Blocks [first, last). Read in pieces: a failing disk is an IoError here, where mapped memory would be a signal.
void verify_blocks(const std::filesystem::path& path, const CheckpointFile& file, std::size_t first, std::size_t last) {
  const File in = File::open_read(path);
  std::vector<std::byte> piece(kHashBlock);
  std::vector<std::string> hash;
  for (std::size_t b = first; b < last; ++b) {
    const std::uint64_t offset = b * kHashBlock;
    hash.clear();
    add_block_hashes(std::span(piece).first(in.read_at(offset, piece)), hash);
    if (hash.size() == 1 && hash[0] == file.blocks[b]) continue;
    throw CheckpointError(path.string() + ": bytes " + std::to_string(offset) + " to " +
                          std::to_string(std::min(offset + kHashBlock, file.bytes)) + what_lies_at(path, offset) + " have the hash " +
                          (hash.empty() ? "of nothing" : hash[0]) + ", the manifest says " + file.blocks[b] +
                          "; they were damaged, or the file belongs to another checkpoint");
  }
}

void check_size(const std::filesystem::path& folder, const CheckpointFile& file) {
  const std::filesystem::path path = folder / file.name;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) throw CheckpointError(path.string() + ": is missing, the manifest names it");
  const std::uint64_t bytes = File::open_read(path).size();
  if (bytes != file.bytes)
    throw CheckpointError(path.string() + ": has " + std::to_string(bytes) + " bytes, the manifest says " + std::to_string(file.bytes) +
                          (bytes < file.bytes ? "; it was cut" : "; something was added"));
}

}  // namespace

Checkpoint described_checkpoint(const std::filesystem::path& folder, Manifest manifest) {
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  checkpoint.manifest_ = std::move(manifest);
  return checkpoint;
}

Checkpoint described_checkpoint(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) throw CheckpointError(folder.string() + ": is no folder; expected a checkpoint");
  Checkpoint checkpoint = described_checkpoint(folder, read_manifest(folder));
  for (const CheckpointFile& file : checkpoint.manifest().files) check_size(folder, file);
  return checkpoint;
}

void verify_share(const Checkpoint& checkpoint, int place, int count) {
  const std::vector<CheckpointFile>& files = checkpoint.manifest().files;
  std::size_t all = 0, at = 0;
  for (const CheckpointFile& file : files) all += file.blocks.size();
  const auto n = static_cast<std::size_t>(count), first = all * static_cast<std::size_t>(place) / n,
             last = all * (static_cast<std::size_t>(place) + 1) / n;
  for (const CheckpointFile& file : files) {
    const std::size_t from = std::max(first, at), to = std::min(last, at + file.blocks.size());
    if (from < to) verify_blocks(checkpoint.folder() / file.name, file, from - at, to - at);
    at += file.blocks.size();
  }
}

Checkpoint open_checkpoint(const std::filesystem::path& folder) {
  Checkpoint checkpoint = described_checkpoint(folder);
  verify_share(checkpoint, 0, 1);
  return checkpoint;
}

Checkpoint open_step(const std::filesystem::path& checkpoints, std::int64_t step) {
  Checkpoint checkpoint = described_step(checkpoints, step);
  verify_share(checkpoint, 0, 1);
  return checkpoint;
}

Checkpoint described_step(const std::filesystem::path& checkpoints, std::int64_t step) {
  Checkpoint checkpoint = described_checkpoint(checkpoints / checkpoint_name(step));
  if (checkpoint.manifest().step != step)
    throw CheckpointError(checkpoint.folder().string() + ": holds step " + std::to_string(checkpoint.manifest().step) +
                          ", not the one its name says");
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

std::string Checkpoint::text(const std::string& name) const {
  constexpr std::uint64_t kLongest = 256 << 20;  // a file may have holes that cost its maker nothing
  const std::filesystem::path path = path_of(name);
  if (const std::uint64_t bytes = File::open_read(path).size(); bytes > kLongest)
    throw CheckpointError(path.string() + ": has " + std::to_string(bytes) + " bytes, a text of a checkpoint has " +
                          std::to_string(kLongest) + " at most");
  return read_text(path);
}

std::optional<Checkpoint> newest_valid_checkpoint(const std::filesystem::path& checkpoints, Log& log) {
  CheckpointCandidates candidates(checkpoints, log);
  while (std::optional<Checkpoint> checkpoint = candidates.next()) {
    try {
      verify_share(*checkpoint, 0, 1);
      candidates.take(*checkpoint);
      return checkpoint;
    } catch (const Error& error) {
      candidates.pass_over(error.what());
    }
  }
  return {};
}

}  // namespace chorale
