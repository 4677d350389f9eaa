// Which bytes of memory become which bytes of which file of a checkpoint, and in whose share of it they lie. Live memory is cut into units:
// the blocks that owners update. A rank's share of a file is its file_share(), except where memory lies in parts on several nodes: those
// bytes are their owner's to write, page by page of the file. A page with bytes of several nodes is one rank's all the same, and its bytes
// are told before (mixed pages).
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
  /// What one rank writes in one go; together the slices are the file. Borders are those of pages.
  struct Slice {
    ByteRange range;
    int rank = 0;
    std::uint64_t place = 0;  // where it begins in that rank's region
  };
  SnapshotLayout() = default;
  /// node_of: by rank.
  SnapshotLayout(const SaveFiles& files, std::vector<LiveMemory> live, std::vector<int> node_of);

  /// Bytes that the largest region takes: a rank's slices one after the other, each at the border of a page.
  std::uint64_t region_bytes() const;
  /// Room for the regions of these files or smaller ones, also when other ranks come to own some of what is held in parts.
  static std::uint64_t region_room(const SaveFiles& files, std::span<const LiveMemory> live, const std::vector<int>& node_of);
  /// Room for the mixed pages of all files, one after the other: kPage bytes each.
  std::uint64_t mixed_bytes() const { return mixed_.size(); }
  /// Adds what lies on `node` to the mixed pages, which begin as zeros; what every node has is node 0's to add.
  void fill_mixed(int node);
  std::span<std::byte> mixed() { return mixed_; }
  static std::size_t units(std::span<const LiveMemory> live);

  const std::vector<LiveMemory>& live() const { return live_; }
  std::size_t unit_bytes(std::size_t live) const;
  std::size_t units(std::size_t live) const;
  /// Of all live memories together, where those of `live` begin.
  std::size_t first_unit(std::size_t live) const { return first_units_[live]; }
  /// Where a byte of a file lies in the region of the rank that writes it.
  std::uint64_t place(std::size_t file, std::uint64_t byte) const;
  const std::vector<Slice>& slices(std::size_t file) const { return slices_[file]; }
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
  struct Claim {  // on bytes of a file
    ByteRange range;
    int rank = 0;
    bool is_sole = false;  // no other node has them
  };
  int live_of(std::span<const std::byte> bytes) const;
  std::vector<Part> parts_of(const SafetensorsImage& image) const;
  bool is_held(const std::vector<Part>& parts) const;
  std::vector<Claim> claims(const std::vector<Part>& parts, std::uint64_t size) const;
  void cut(std::size_t file, std::uint64_t size);
  void cut_pages(std::size_t file, std::uint64_t size);
  void mix(std::size_t file);
  const Slice& slice_at(std::size_t file, std::uint64_t byte) const;
  void add_targets(const Home& home, ByteRange range, const std::byte* memory, const std::function<void(const Target&)>& take) const;

  std::vector<LiveMemory> live_;
  std::vector<std::size_t> first_units_;
  std::vector<int> node_of_;
  std::vector<std::uint64_t> ends_;         // by rank: of its region so far
  std::vector<std::vector<Slice>> slices_;  // by file, in order
  std::vector<std::vector<Part>> parts_;    // by file, in order
  std::vector<std::vector<Home>> homes_;    // by live memory, in order
  struct MixedPage {
    std::size_t file = 0;
    ByteRange range;
  };
  struct MixedPart {       // of a mixed page
    std::uint64_t at = 0;  // in mixed_
    std::span<const std::byte> bytes;
    int node = 0;
  };
  std::vector<MixedPage> pages_;
  std::vector<MixedPart> mixed_parts_;
  std::vector<std::byte> mixed_;
};

}  // namespace chorale
