#include <chorale/train/snapshot.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include <chorale/comm/copy.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/data/memory_budget.hpp>

namespace chorale {

namespace {

enum Mark : std::uint32_t { kCopying = 1, kCopied = 2, kTaken = 3 };

/// The bytes may be overwritten meanwhile; then they are thrown away. So no data that anything depends on is read in a race, which the
/// thread sanitizer cannot know.
__attribute__((noinline, no_sanitize("thread"))) void copy_unguarded(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::size_t i = 0;
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  for (; i < bytes && reinterpret_cast<std::uintptr_t>(from + i) % kWord != 0; ++i)
    to[i] = *const_cast<const volatile std::byte*>(from + i);
  for (; i + kWord <= bytes; i += kWord) {
    const std::uint64_t word = *reinterpret_cast<const volatile std::uint64_t*>(from + i);
    __builtin_memcpy(to + i, &word, kWord);
  }
  for (; i < bytes; ++i) to[i] = *const_cast<const volatile std::byte*>(from + i);
}

/// Whether so many bytes of addresses are to be had; of memory, the kernel tells only when it is touched.
bool can_map(std::uint64_t bytes) {
  void* memory = ::mmap(nullptr, bytes + 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  ::munmap(memory, bytes + 1);
  return true;
}

bool is_everywhere(Communicator& comm, bool here, Label label) {
  std::int32_t all = here ? 1 : 0;
  comm.all_reduce(buffer_of(std::span(&all, 1)), Reduce::min, label).wait();
  return all == 1;
}

}  // namespace

std::uint64_t Snapshot::reserve(Communicator& comm, const SaveFiles& largest, std::span<const LiveMemory> live) {
  comm_ = &comm;
  Communicator& node = comm.node();
  local_of_.clear();
  int local = 0;
  for (int rank = 0; rank < comm.size(); ++rank) local_of_.push_back(comm.node_of(rank) == comm.node_index() ? local++ : -1);
  node_of_.clear();
  for (int rank = 0; rank < comm.size(); ++rank) node_of_.push_back(comm.node_of(rank));
  const std::uint64_t each = SnapshotLayout::region_room(largest, live, node_of_), all = each * static_cast<std::uint64_t>(node.size());
  if (!is_everywhere(comm, all <= static_cast<std::uint64_t>(available_memory()) / 2 && can_map(all), "snapshot fits")) return 0;
  regions_ = node.allocate(static_cast<std::int64_t>(each), DType::u8);
  words_ = node.allocate(static_cast<std::int64_t>(SnapshotLayout::units(live)), DType::i32);
  ::madvise(regions_.mine.data, each, MADV_HUGEPAGE);  // advice: small pages do too
  std::memset(regions_.mine.data, 0, each);
  node.barrier("snapshot is reserved").wait();  // before a peer copies to it
  return bytes_ = each;
}

bool Snapshot::begin(const SaveFiles& files, std::vector<LiveMemory> live) {
  if (bytes_ == 0) return false;
  SnapshotLayout layout(files, std::move(live), node_of_);
  if (layout.region_bytes() > bytes_ || SnapshotLayout::units(layout.live()) > static_cast<std::size_t>(words_.mine.elements)) return false;
  layout_ = std::move(layout);
  ++saves_;
  share_mixed_pages();
  copy_constant_parts();
  return active_ = true;
}

/// Each byte of them is one node's, and zero elsewhere: the sum is the pages.
void Snapshot::share_mixed_pages() {
  const std::span<std::byte> pages = layout_.mixed();
  if (pages.empty()) return;
  if (comm_->node().rank() == 0) layout_.fill_mixed(comm_->node_index());
  std::vector<std::int32_t> words(pages.size() / sizeof(std::int32_t));
  std::memcpy(words.data(), pages.data(), pages.size());
  comm_->all_reduce(buffer_of(std::span(words)), Reduce::sum, "pages of several nodes").wait();
  std::memcpy(pages.data(), words.data(), pages.size());
}

void Snapshot::copy_constant_parts() {
  for (std::size_t f = 0; f < layout_.files(); ++f)
    for (const ByteRange& range : slices(f))
      layout_.each_part(f, range, [&](const SnapshotLayout::Part& part) {
        if (part.live < 0) copy_bytes(region(comm_->rank(), true) + layout_.place(f, part.at), part.bytes.data(), part.bytes.size());
      });
}

std::vector<ByteRange> Snapshot::slices(std::size_t file) const {
  std::vector<ByteRange> out;
  for (const SnapshotLayout::Slice& slice : layout_.slices(file))
    if (slice.rank == comm_->rank()) out.push_back(slice.range);
  return out;
}

std::uint32_t& Snapshot::word(std::size_t live, std::size_t unit) const {
  const Buffer& words = layout_.live()[live].is_private ? words_.mine : words_.peers[0];
  return words.as<std::uint32_t>()[layout_.first_unit(live) + unit];
}

std::byte* Snapshot::region(int rank, bool is_private) const {
  if (rank == comm_->rank()) return regions_.mine.as<std::byte>();
  const int local = local_of_[static_cast<std::size_t>(rank)];
  return is_private || local < 0 ? nullptr : regions_.peers[static_cast<std::size_t>(local)].as<std::byte>();
}

void Snapshot::before_write(Buffer memory) {
  if (!active_ || memory.elements == 0) return;
  const auto* first = memory.as<const std::byte>();
  const std::byte* last = first + memory.bytes();
  for (std::size_t m = 0; m < layout_.live().size(); ++m) {
    const Buffer& live = layout_.live()[m].memory;
    const auto* begin = live.as<const std::byte>();
    const std::byte *from = std::max(first, begin), *to = std::min(last, begin + live.bytes());
    if (from >= to) continue;
    const std::size_t unit = layout_.unit_bytes(m);
    for (std::size_t u = static_cast<std::size_t>(from - begin) / unit; u * unit < static_cast<std::size_t>(to - begin); ++u) keep(m, u);
  }
}

void Snapshot::keep(std::size_t live, std::size_t unit) {
  const std::atomic_ref<std::uint32_t> state(word(live, unit));
  std::uint32_t seen = state.load(std::memory_order_acquire);
  if (is_now(seen) || !state.compare_exchange_strong(seen, word_of(kCopying), std::memory_order_acq_rel)) return;
  const bool is_private = layout_.live()[live].is_private;
  layout_.each_target(live, unit, [&](const SnapshotLayout::Target& target) {
    if (std::byte* to = region(target.rank, is_private)) copy_out(to + target.at, target.bytes.data(), target.bytes.size());
  });
  state.store(word_of(kCopied), std::memory_order_release);
}

void Snapshot::settle() {
  if (!active_) return;
  Communicator& node = comm_->node();
  for (std::size_t m = 0; m < layout_.live().size(); ++m) {
    const std::size_t units = layout_.units(m),
                      mine = units * static_cast<std::size_t>(node.rank()) / static_cast<std::size_t>(node.size());
    for (std::size_t i = 0; i < units; ++i) keep(m, (mine + i) % units);  // each begins where no other does
  }
  { const std::lock_guard lock(reading_); }  // what this rank's writer is reading at the moment
  node.barrier("snapshot is settled").wait();
}

bool Snapshot::is_copied(std::size_t file, ByteRange range) const {
  bool all = true;
  layout_.each_part(file, range, [&](const SnapshotLayout::Part& part) {
    if (part.live < 0 || !all) return;
    const auto m = static_cast<std::size_t>(part.live);
    const std::size_t unit = layout_.unit_bytes(m);
    for (std::size_t u = part.first / unit; all && u * unit < part.first + part.bytes.size(); ++u)
      all = std::atomic_ref(word(m, u)).load(std::memory_order_acquire) == word_of(kCopied);
  });
  return all;
}

std::span<const std::byte> Snapshot::read(std::size_t file, ByteRange range, std::span<std::byte> staging, const std::stop_token& stop) {
  const std::byte* copy = region(comm_->rank(), true) + layout_.place(file, range.first);
  if (is_copied(file, range)) return {copy, range.size()};
  const std::lock_guard lock(reading_);
  layout_.each_part(file, range, [&](const SnapshotLayout::Part& part) {
    std::byte* to = staging.data() + (part.at - range.first);
    if (part.live < 0)
      copy_bytes(to, copy + (part.at - range.first), part.bytes.size());
    else
      read_part(file, part, to, stop);
  });
  return staging.first(range.size());
}

void Snapshot::read_part(std::size_t file, const SnapshotLayout::Part& part, std::byte* to, const std::stop_token& stop) {
  const auto m = static_cast<std::size_t>(part.live);
  const std::uint64_t unit = layout_.unit_bytes(m), end = part.first + part.bytes.size();
  const std::byte* copy = region(comm_->rank(), true) + layout_.place(file, part.at);
  for (std::uint64_t first = part.first, last = 0; first < end; first = last) {
    last = std::min(end, (first / unit + 1) * unit);
    const std::uint64_t at = first - part.first, count = last - first;
    std::uint32_t& state = word(m, first / unit);
    if (take_live(state, part.bytes.subspan(at, count), to + at, count == unit)) continue;
    wait_for_copy(state, stop);
    copy_bytes(to + at, copy + at, count);
  }
}

/// False when the unit has been or is being copied. all: it goes nowhere else, so need not be copied.
bool Snapshot::take_live(std::uint32_t& word, std::span<const std::byte> from, std::byte* to, bool all) const {
  const std::atomic_ref<std::uint32_t> state(word);
  std::uint32_t seen = state.load(std::memory_order_acquire);
  if (is_now(seen)) return false;
  copy_unguarded(to, from.data(), from.size());
  // A release keeps the reads above before it; who overwrites the block has set another word before.
  return state.compare_exchange_strong(seen, all ? word_of(kTaken) : seen, std::memory_order_acq_rel);
}

void Snapshot::wait_for_copy(std::uint32_t& word, const std::stop_token& stop) const {
  const std::atomic_ref<std::uint32_t> state(word);
  while (state.load(std::memory_order_acquire) != word_of(kCopied)) {
    if (stop.stop_requested()) throw IoError("[checkpoint] given up, the run ends");
    std::this_thread::sleep_for(std::chrono::microseconds(20));  // some 10 us of copying are left, more where its thread sleeps
  }
}

}  // namespace chorale
