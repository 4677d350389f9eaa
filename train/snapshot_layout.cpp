#include <chorale/train/snapshot_layout.hpp>

#include <algorithm>
#include <cstring>

#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

namespace {

constexpr std::uint64_t kPage = 4096, kShareBorder = 1 << 20;

std::uint64_t up(std::uint64_t bytes, std::uint64_t to) { return (bytes + to - 1) / to * to; }

std::size_t units_of(const Buffer& memory) { return static_cast<std::size_t>((memory.elements + kBlockElements - 1) / kBlockElements); }

}  // namespace

std::size_t SnapshotLayout::units(std::span<const LiveMemory> live) {
  std::size_t out = 0;
  for (const LiveMemory& each : live) out += units_of(each.memory);
  return out;
}

SnapshotLayout::SnapshotLayout(const SaveFiles& files, std::vector<LiveMemory> live, std::vector<int> node_of)
    : live_(std::move(live)), node_of_(std::move(node_of)), ends_(node_of_.size(), 0), homes_(live_.size()) {
  std::size_t units = 0;
  for (const LiveMemory& each : live_) first_units_.push_back(units), units += units_of(each.memory);
  for (std::size_t f = 0; f < files.size(); ++f) {
    parts_.push_back(parts_of(files[f].image));
    slices_.emplace_back();
    if (is_held(parts_[f]))
      cut_pages(f, files[f].image.size());
    else
      cut(f, files[f].image.size());
  }
  mixed_.resize(pages_.size() * kPage);
  for (std::size_t f = 0; f < files.size(); ++f) {
    mix(f);
    for (const Part& part : parts_[f])
      if (part.live >= 0) homes_[static_cast<std::size_t>(part.live)].push_back({part.first, part.bytes.size(), f, part.at});
  }
  for (std::vector<Home>& homes : homes_)
    std::sort(homes.begin(), homes.end(), [](const Home& a, const Home& b) { return a.first < b.first; });
}

std::vector<SnapshotLayout::Part> SnapshotLayout::parts_of(const SafetensorsImage& image) const {
  std::vector<Part> out;
  for (const SafetensorsImage::Piece& piece : image.pieces()) {
    Part part{piece.offset, piece.bytes, live_of(piece.bytes), 0};
    if (part.bytes.empty()) continue;
    if (part.live >= 0)
      part.first = static_cast<std::uint64_t>(part.bytes.data() - live_[static_cast<std::size_t>(part.live)].memory.as<const std::byte>());
    out.push_back(part);
  }
  return out;
}

bool SnapshotLayout::is_held(const std::vector<Part>& parts) const {
  return std::any_of(parts.begin(), parts.end(),
                     [this](const Part& part) { return part.live >= 0 && !live_[static_cast<std::size_t>(part.live)].held.empty(); });
}

void SnapshotLayout::cut(std::size_t file, std::uint64_t size) {
  const auto ranks = static_cast<int>(node_of_.size());
  for (int rank = 0; rank < ranks; ++rank) {
    const ByteRange share = file_share(size, rank, ranks);
    if (share.size() == 0) continue;
    std::uint64_t& end = ends_[static_cast<std::size_t>(rank)];
    slices_[file].push_back({share, rank, end});
    end += up(share.size(), kPage);
  }
}

/// In order, together all of the file: of what is held its owner's, of the rest the file_share()s.
std::vector<SnapshotLayout::Claim> SnapshotLayout::claims(const std::vector<Part>& parts, std::uint64_t size) const {
  std::vector<Claim> out;
  const auto ranks = static_cast<int>(node_of_.size());
  std::uint64_t at = 0;
  const auto for_all = [&](std::uint64_t last) {  // header, padding, what every node has
    for (int rank = 0; rank < ranks; ++rank) {
      const ByteRange share = file_share(size, rank, ranks);
      const std::uint64_t from = std::max(at, share.first), to = std::min(last, share.last);
      if (from < to) out.push_back({{from, to}, rank, false});
    }
    at = std::max(at, last);
  };
  for (const Part& part : parts) {
    if (part.live < 0 || live_[static_cast<std::size_t>(part.live)].held.empty()) continue;
    for_all(part.at);
    const LiveMemory& live = live_[static_cast<std::size_t>(part.live)];
    const std::uint64_t width = size_bytes(live.memory.dtype), end = part.first + part.bytes.size();
    const auto ends_after = [&](std::uint64_t byte, const Held& held) {
      return byte < static_cast<std::uint64_t>(held.first + held.count) * width;
    };
    for (auto held = std::upper_bound(live.held.begin(), live.held.end(), part.first, ends_after);
         held != live.held.end() && at < part.at + part.bytes.size(); ++held) {
      const std::uint64_t last = std::min(end, static_cast<std::uint64_t>(held->first + held->count) * width);
      out.push_back({{at, part.at + (last - part.first)}, held->rank, true});
      at = out.back().range.last;
    }
  }
  for_all(size);
  return out;
}

void SnapshotLayout::cut_pages(std::size_t file, std::uint64_t size) {
  const std::vector<Claim> all = claims(parts_[file], size);
  std::vector<Slice>& slices = slices_[file];
  const auto add = [&](ByteRange range, int rank) {
    std::uint64_t& end = ends_[static_cast<std::size_t>(rank)];
    if (!slices.empty() && slices.back().rank == rank && slices.back().range.last == range.first) {
      slices.back().range.last = range.last;
    } else {
      slices.push_back({range, rank, end});
    }
    end = slices.back().place + up(slices.back().range.size(), kPage);
  };
  std::size_t i = 0;
  for (std::uint64_t page = 0; page < size;) {
    while (all[i].range.last <= page) ++i;
    if (const std::uint64_t whole = all[i].range.last / kPage * kPage; whole > page || all[i].range.last == size) {
      const std::uint64_t last = all[i].range.last == size ? size : whole;
      add({page, last}, all[i].rank);
      page = last;
      continue;
    }
    const std::uint64_t last = std::min(size, page + kPage);
    int sole = -1;  // a rank of the node that alone has some of it
    bool is_mixed = false;
    for (std::size_t j = i; j < all.size() && all[j].range.first < last; ++j) {
      if (!all[j].is_sole) continue;
      if (sole >= 0 && node_of_[static_cast<std::size_t>(sole)] != node_of_[static_cast<std::size_t>(all[j].rank)]) is_mixed = true;
      if (sole < 0) sole = all[j].rank;
    }
    add({page, last}, sole >= 0 ? sole : all[i].rank);
    if (is_mixed) {
      pages_.push_back({file, {page, last}});
      for (std::size_t j = i; j < all.size() && all[j].range.first < last; ++j) {
        const ByteRange range{std::max(page, all[j].range.first), std::min(last, all[j].range.last)};
        const int node = all[j].is_sole ? node_of_[static_cast<std::size_t>(all[j].rank)] : 0;
        each_part(file, range, [&](const Part& part) {
          mixed_parts_.push_back({(pages_.size() - 1) * kPage + (part.at - page), part.bytes, node});
        });
      }
    }
    page = last;
  }
}

/// Mixed pages become parts that nobody overwrites.
void SnapshotLayout::mix(std::size_t file) {
  std::vector<Part> out;
  std::size_t i = 0;
  const auto take = [&](Part part, std::uint64_t first, std::uint64_t last) {
    if (first >= last) return;
    out.push_back({first, part.bytes.subspan(first - part.at, last - first), part.live, part.first + (first - part.at)});
  };
  for (std::size_t p = 0; p < pages_.size(); ++p) {
    if (pages_[p].file != file) continue;
    const ByteRange page = pages_[p].range;
    for (; i < parts_[file].size() && parts_[file][i].at < page.last; ++i) {
      const Part part = parts_[file][i];
      const std::uint64_t begun = std::max(part.at, out.empty() ? 0 : out.back().at + out.back().bytes.size());
      take(part, begun, std::min(page.first, part.at + part.bytes.size()));
      if (part.at + part.bytes.size() > page.last) break;  // goes on behind the page
    }
    out.push_back({page.first, std::span<const std::byte>(mixed_).subspan(p * kPage, page.size()), -1, 0});
  }
  for (; i < parts_[file].size(); ++i) {
    const Part part = parts_[file][i];
    const std::uint64_t begun = std::max(part.at, out.empty() ? 0 : out.back().at + out.back().bytes.size());
    take(part, begun, part.at + part.bytes.size());
  }
  parts_[file] = std::move(out);
}

void SnapshotLayout::fill_mixed(int node) {
  for (const MixedPart& part : mixed_parts_)
    if (part.node == node) std::memcpy(mixed_.data() + part.at, part.bytes.data(), part.bytes.size());
}

std::uint64_t SnapshotLayout::region_bytes() const { return ends_.empty() ? 0 : *std::max_element(ends_.begin(), ends_.end()); }

std::uint64_t SnapshotLayout::region_room(const SaveFiles& files, std::span<const LiveMemory> live, const std::vector<int>& node_of) {
  const SnapshotLayout layout(files, {live.begin(), live.end()}, node_of);
  const auto ranks = static_cast<int>(node_of.size());
  std::uint64_t bytes = 0;
  for (std::size_t f = 0; f < files.size(); ++f) {
    const std::uint64_t size = files[f].image.size();
    if (!layout.is_held(layout.parts_[f])) {  // the last share is the largest one
      bytes += std::min(up(size, kPage), up(file_share(size, ranks - 1, ranks).size(), kShareBorder));
      continue;
    }
    std::vector<std::uint64_t> of_rank(node_of.size(), 0);
    for (const Slice& slice : layout.slices_[f]) of_rank[static_cast<std::size_t>(slice.rank)] += up(slice.range.size(), kPage);
    // Other buckets are cut a little otherwise; more than the file it can hardly be.
    const std::uint64_t most = *std::max_element(of_rank.begin(), of_rank.end());
    bytes += up(most + most / 8 + 4 * kShareBorder, kPage);
  }
  return bytes;
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

const SnapshotLayout::Slice& SnapshotLayout::slice_at(std::size_t file, std::uint64_t byte) const {
  const auto ends_after = [](std::uint64_t at, const Slice& slice) { return at < slice.range.last; };
  return *std::upper_bound(slices_[file].begin(), slices_[file].end(), byte, ends_after);
}

std::uint64_t SnapshotLayout::place(std::size_t file, std::uint64_t byte) const {
  const Slice& slice = slice_at(file, byte);
  return slice.place + (byte - slice.range.first);
}

void SnapshotLayout::add_targets(const Home& home, ByteRange range, const std::byte* memory,
                                 const std::function<void(const Target&)>& take) const {
  std::uint64_t first = std::max(range.first, home.first);
  const std::uint64_t last = std::min(range.last, home.first + home.bytes);
  while (first < last) {
    const std::uint64_t byte = home.at + (first - home.first);
    const Slice& slice = slice_at(home.file, byte);
    const std::uint64_t count = std::min(last - first, slice.range.last - byte);
    take({slice.rank, slice.place + (byte - slice.range.first), {memory + first, static_cast<std::size_t>(count)}});
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
