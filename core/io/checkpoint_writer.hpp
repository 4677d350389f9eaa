// The transaction that makes a checkpoint: it is there as a whole or not at all, whenever the process dies.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include <chorale/core/io/manifest.hpp>
#include <chorale/core/io/safetensors_image.hpp>

namespace chorale {

/// Writes CHECKPOINTS/step_N by way of step_N.tmp.TOKEN. Each rank that takes part has one, with equal arguments; the caller keeps the
/// order:
///   1. begin        rank 0, then a barrier
///   2. write_part   any rank, any file, disjoint ranges that together are the file; then a barrier
///   3. commit       rank 0. When it returns the checkpoint lasts through a power cut, and older ones have gone
/// An IoError at any step leaves all committed checkpoints as they were; the rank that began then calls abandon(). One thread.
class CheckpointWriter {
 public:
  /// `token` is new for each attempt and made of letters, digits, - and _. Throws UsageError otherwise.
  CheckpointWriter(std::filesystem::path checkpoints, std::int64_t step, const std::string& token);

  /// Makes the folder, empty; a folder left by the same token goes.
  void begin();
  /// Makes a file of that size, so that a full disk is known before the work is done. Rank 0, before the barrier.
  void reserve(const std::string& name, std::uint64_t bytes);
  /// Writes and syncs the bytes of `range` of the image's file.
  void write_part(const std::string& name, const SafetensorsImage& image, ByteRange range);
  /// Writes a small whole file, for instance the fitted preprocessing. Returns its line of the manifest.
  CheckpointFile write_text(const std::string& name, const std::string& text);
  /// Syncs the folder, writes the manifest last, renames and syncs the parent. Replaces a step_N that exists, in one exchange.
  /// Then removes older checkpoints beyond the `keep` newest (1 at least), this one included; newer ones are left alone.
  /// `fields` is a JSON object. Throws CheckpointError when a file has not the size that `files` says.
  void commit(const std::string& fields, std::span<const CheckpointFile> files, std::int64_t keep);
  /// Removes what was begun, if anything. Never throws.
  void abandon() noexcept;

  const std::filesystem::path& folder() const { return folder_; }  // CHECKPOINTS/step_N

 private:
  void check_sizes(std::span<const CheckpointFile> files) const;
  void publish();
  std::filesystem::path checkpoints_, folder_, draft_;
  std::int64_t step_;
  std::string token_;
};

/// What the manifest says of a file that is written from this image.
CheckpointFile checkpoint_file(const std::string& name, const SafetensorsImage& image);

}  // namespace chorale
