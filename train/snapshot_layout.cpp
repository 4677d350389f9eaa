#include <chorale/train/snapshot_layout.hpp>

#include <algorithm>

#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

namespace {

constexpr std::uint64_t kPage = 4096, kShareBorder = 1 << 20;

std::uint64_t up(std::uint64_t bytes, std::uint64_t to) { return (bytes + to - 1) / to * to; }

std::size_t units_of(const Buffer& memory) { return static_cast<std::size_t>((memory.elements + kBlockElements - 1) / kBlockElements); }

}  // namespace

std::uint64_t SnapshotLayout::region_bytes(const SaveFiles& files, int ranks) {
  std::uint64_t bytes = 0;
  for (const SaveFile& file : files) {
    const std::uint64_t size = file.image.size();  // the last share is the largest one
    bytes += std::min(up(size, kPage), up(file_share(size, ranks - 1, ranks).size(), kShareBorder));
  }
  return bytes;
}

std::size_t SnapshotLayout::units(std::span<const LiveMemory> live) {
  std::size_t out = 0;
  for (const LiveMemory& each : live) out += units_of(each.memory);
  return out;
}

SnapshotLayout::SnapshotLayout(const SaveFiles& files, std::vector<LiveMemory> live, int ranks)
    : live_(std::move(live)), homes_(live_.size()) {
  std::size_t units = 0;
  for (const LiveMemory& each : live_) first_units_.push_back(units), units += units_of(each.memory);
  std::vector<std::uint64_t> ends(static_cast<std::size_t>(ranks), 0);
  for (std::size_t f = 0; f < files.size(); ++f) {
    std::vector<ByteRange>& shares = shares_.emplace_back();
    regions_.push_back(ends);
    for (int rank = 0; rank < ranks; ++rank) {
      shares.push_back(file_share(files[f].image.size(), rank, ranks));
      ends[static_cast<std::size_t>(rank)] += up(shares.back().size(), kPage);
    }
    std::vector<Part>& parts = parts_.emplace_back();
    for (const SafetensorsImage::Piece& piece : files[f].image.pieces()) {
      Part part{piece.offset, piece.bytes, live_of(piece.bytes), 0};
      if (part.bytes.empty()) continue;
      if (part.live >= 0) {
        const auto m = static_cast<std::size_t>(part.live);
        part.first = static_cast<std::uint64_t>(part.bytes.data() - live_[m].memory.as<const std::byte>());
        homes_[m].push_back({part.first, part.bytes.size(), f, part.at});
      }
      parts.push_back(part);
    }
  }
  for (std::vector<Home>& homes : homes_)
    std::sort(homes.begin(), homes.end(), [](const Home& a, const Home& b) { return a.first < b.first; });
}

int SnapshotLayout::live_of(std::span<const std::byte> bytes) const {
  for (std::size_t m = 0; m < live_.size(); ++m) {
    const auto* memory = live_[m].memory.as<const std::byte>();
    if (bytes.data() >= memory && bytes.data() + bytes.size() <= memory + live_[m].memory.bytes()) return static_cast<int>(m);
  }
  return -1;
}

std::size_t SnapshotLayout::unit_bytes(std::size_t live) const {
  return static_cast<std::size_t>(kBlockElements) * size_bytes(live_[live].memory.dtype);
}

std::size_t SnapshotLayout::units(std::size_t live) const { return units_of(live_[live].memory); }

std::uint64_t SnapshotLayout::place(int rank, std::size_t file, std::uint64_t byte) const {
  return regions_[file][static_cast<std::size_t>(rank)] + (byte - share(rank, file).first);
}

int SnapshotLayout::rank_of(std::size_t file, std::uint64_t byte) const {
  const std::vector<ByteRange>& shares = shares_[file];
  const auto ends_after = [](std::uint64_t at, const ByteRange& share) { return at < share.last; };
  return static_cast<int>(std::upper_bound(shares.begin(), shares.end(), byte, ends_after) - shares.begin());
}

void SnapshotLayout::add_targets(const Home& home, ByteRange range, const std::byte* memory,
                                 const std::function<void(const Target&)>& take) const {
  std::uint64_t first = std::max(range.first, home.first);
  const std::uint64_t last = std::min(range.last, home.first + home.bytes);
  while (first < last) {
    const std::uint64_t byte = home.at + (first - home.first);
    const int rank = rank_of(home.file, byte);
    const std::uint64_t count = std::min(last - first, share(rank, home.file).last - byte);
    take({rank, place(rank, home.file, byte), {memory + first, static_cast<std::size_t>(count)}});
    first += count;
  }
}

void SnapshotLayout::each_target(std::size_t live, std::size_t unit, const std::function<void(const Target&)>& take) const {
  const std::uint64_t first = unit * unit_bytes(live), last = std::min<std::uint64_t>(first + unit_bytes(live), live_[live].memory.bytes());
  const auto ends_after = [](std::uint64_t at, const Home& home) { return at < home.first + home.bytes; };
  const std::vector<Home>& homes = homes_[live];
  for (auto home = std::upper_bound(homes.begin(), homes.end(), first, ends_after); home != homes.end() && home->first < last; ++home)
    add_targets(*home, {first, last}, live_[live].memory.as<const std::byte>(), take);
}

void SnapshotLayout::each_part(std::size_t file, ByteRange range, const std::function<void(const Part&)>& take) const {
  const auto ends_after = [](std::uint64_t at, const Part& part) { return at < part.at + part.bytes.size(); };
  const std::vector<Part>& parts = parts_[file];
  for (auto part = std::upper_bound(parts.begin(), parts.end(), range.first, ends_after); part != parts.end() && part->at < range.last;
       ++part) {
    const std::uint64_t first = std::max(range.first, part->at), last = std::min(range.last, part->at + part->bytes.size());
    take({first, part->bytes.subspan(first - part->at, last - first), part->live, part->first + (first - part->at)});
  }
}

}  // namespace chorale
