// Which bytes of memory become which bytes of which file of a checkpoint, and in whose share of it they lie. Live memory is cut into units:
// the blocks that owners update.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <chorale/train/save_files.hpp>

namespace chorale {

/// Immutable; any thread. The memory that it names must stay.
class SnapshotLayout {
 public:
  /// Of a span of a file.
  struct Part {
    std::uint64_t at = 0;  // in the file
    std::span<const std::byte> bytes;
    int live = -1;            // index of the live memory that it lies in; -1: nobody overwrites it
    std::uint64_t first = 0;  // byte of that memory
  };
  /// A part of a unit, and where it belongs in the region of the rank whose share it lies in.
  struct Target {
    int rank = 0;
    std::uint64_t at = 0;
    std::span<const std::byte> bytes;
  };
  SnapshotLayout() = default;
  SnapshotLayout(const SaveFiles& files, std::vector<LiveMemory> live, int ranks);

  /// Bytes that a rank's region takes at most, for these files or smaller ones: its shares one after the other, each at the border of a
  /// page.
  static std::uint64_t region_bytes(const SaveFiles& files, int ranks);
  static std::size_t units(std::span<const LiveMemory> live);

  const std::vector<LiveMemory>& live() const { return live_; }
  std::size_t unit_bytes(std::size_t live) const;
  std::size_t units(std::size_t live) const;
  /// Of all live memories together, where those of `live` begin.
  std::size_t first_unit(std::size_t live) const { return first_units_[live]; }
  /// Where a byte of a file lies in the region of the rank whose share it is in.
  std::uint64_t place(int rank, std::size_t file, std::uint64_t byte) const;
  ByteRange share(int rank, std::size_t file) const { return shares_[file][static_cast<std::size_t>(rank)]; }
  std::size_t files() const { return parts_.size(); }
  void each_target(std::size_t live, std::size_t unit, const std::function<void(const Target&)>& take) const;
  /// The parts that a range of a file consists of, in order.
  void each_part(std::size_t file, ByteRange range, const std::function<void(const Part&)>& take) const;

 private:
  struct Home {  // of a span of live memory
    std::uint64_t first = 0, bytes = 0;
    std::size_t file = 0;
    std::uint64_t at = 0;
  };
  int live_of(std::span<const std::byte> bytes) const;
  int rank_of(std::size_t file, std::uint64_t byte) const;
  void add_targets(const Home& home, ByteRange range, const std::byte* memory, const std::function<void(const Target&)>& take) const;

  std::vector<LiveMemory> live_;
  std::vector<std::size_t> first_units_;
  std::vector<std::vector<ByteRange>> shares_;       // by file and rank
  std::vector<std::vector<std::uint64_t>> regions_;  // by file and rank: where the share begins in the rank's region
  std::vector<std::vector<Part>> parts_;             // by file, in order
  std::vector<std::vector<Home>> homes_;             // by live memory, in order
};

}  // namespace chorale
