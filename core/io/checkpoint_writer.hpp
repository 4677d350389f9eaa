// The transaction that makes a checkpoint: it is there as a whole or not at all, whenever the process dies.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include <chorale/core/io/byte_range.hpp>
#include <chorale/core/io/manifest.hpp>
#include <chorale/core/io/retention.hpp>

namespace chorale {

/// The points of the protocol where a process may die; tests make it do so. Each is named just before its work.
enum class SavePoint { snapshot, read, part_written, manifest, rename, prune };
std::string_view name(SavePoint point);

/// Bytes of a range of a file, at most kPiece of them, valid until the next call.
using PieceSource = std::function<std::span<const std::byte>(ByteRange)>;

/// Writes CHECKPOINTS/step_N by way of step_N.tmp.TOKEN. Each rank that takes part has one, with equal arguments; the caller keeps the
/// order:
///   1. write_part   any rank, any file, disjoint ranges that together are the file; each rank join()s before
///   2. commit       rank 0, when all parts are written. When it returns the checkpoint lasts through a power cut
///   3. prune        rank 0
/// An error in 1 or 2 leaves all committed checkpoints as they were; rank 0 then calls abandon(). One thread at a time.
class CheckpointWriter {
 public:
  static constexpr std::uint64_t kPiece = 4 << 20;
  struct Setup {
    std::filesystem::path checkpoints;
    std::int64_t step = 0;
    std::string token;                      // new for each save, equal on all ranks: letters, digits, - and _
    std::function<void()> still_ours = {};  // asked before each rename and removal; throws when the run has another owner by now
    std::function<void(SavePoint)> at = {};
  };
  /// Throws UsageError for another kind of step or token.
  explicit CheckpointWriter(Setup setup);
  /// Makes the draft's folder where no other rank has yet.
  void join();
  /// Reserves the disk space of a file, so that a full disk is known before the work is done. One rank, at any time before commit.
  void reserve(const std::string& name, std::uint64_t bytes);
  /// Writes and syncs the bytes of `range`, which begins and ends at borders of kHashBlock or at the file's end, and returns the hashes of
  /// its blocks. A stop ends it with an IoError.
  std::vector<std::string> write_part(const std::string& name, ByteRange range, const PieceSource& source, const std::stop_token& stop);
  /// A block that is whole in what one rank has written.
  struct BlockHash {
    std::uint64_t block = 0;
    std::string hash;
  };
  /// The same of several ranges of a file of `bytes` bytes, ascending, whose borders are those of pages. A block that several ranks write a
  /// part of is nobody's: hash_of_block() when all parts are written.
  std::vector<BlockHash> write_parts(const std::string& name, std::uint64_t bytes, std::span<const ByteRange> ranges,
                                     const PieceSource& source, const std::stop_token& stop);
  /// Reads a block of a file again.
  std::string hash_of_block(const std::string& name, std::uint64_t block) const;
  /// Writes a small whole file, for instance the fitted preprocessing. Returns its line of the manifest.
  CheckpointFile write_text(const std::string& name, const std::string& text);
  /// Syncs the folder, writes the manifest last, renames and syncs the parent. Replaces a step_N that exists, in one exchange.
  /// The manifest's step is this writer's. Throws CheckpointError when a file has not the size that the manifest says.
  void commit(Manifest manifest);
  /// Removes older checkpoints that the retention does not keep; newer ones are left alone.
  void prune(const Retention& retention);
  /// Removes what was begun, if anything. Never throws.
  void abandon() noexcept;

  std::filesystem::path folder() const;  // CHECKPOINTS/step_N

 private:
  void check_sizes(std::span<const CheckpointFile> files) const;
  void publish();
  void pass(SavePoint point) const {
    if (setup_.at) setup_.at(point);
  }
  void must_be_ours() const {
    if (setup_.still_ours) setup_.still_ours();
  }
  Setup setup_;
  std::filesystem::path draft_;
};

}  // namespace chorale
