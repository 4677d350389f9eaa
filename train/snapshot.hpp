// The state of a step boundary for as long as a checkpoint needs it, without a copy of it at the boundary: whoever is about to overwrite a
// block first copies it to where the writer of its part of a file finds it, and the writer takes straight from live memory what nobody has
// overwritten yet. What both do is settled block by block in one word, by compare-exchange, so training never waits for the writer.
//
//   word of a block     set by                                          the writer then takes it from
//   of an older save    -                                               live memory, and looks again afterwards: a change makes it start
//   over copying             who is about to overwrite it                    nowhere: it waits copied              the same the region of
//   its rank taken               the writer, with all of the block in its hands  -; nobody need copy it any more
//
// What a node's ranks share (parameters, state) has words that they share, so that any owner guards any writer's part.
#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <stop_token>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/train/snapshot_layout.hpp>

namespace chorale {

/// The thread that trains calls; only read() may come from another one, between begin() and end().
class Snapshot {
 public:
  /// Collective over comm: memory for all that its node's ranks may have to copy, touched, so that a copy meets no page that is not there
  /// yet. Returns the bytes of each rank; 0 where a node would give more than half of what it has free.
  std::uint64_t reserve(Communicator& comm, const SaveFiles& largest, std::span<const LiveMemory> live);
  std::uint64_t bytes() const { return bytes_; }
  /// Collective: from now on the files read as they would now. No waiting, but for a small sum where memory is held in parts on several
  /// nodes: of the few pages of files that no node has all of. False on all ranks when they need more than was reserved; nothing is
  /// guarded then. `files` must stay until end().
  bool begin(const SaveFiles& files, std::vector<LiveMemory> live);
  /// Of file `file`, in order: what is this rank's to read and to write. Borders are those of pages, of 1 MiB where every node has all of
  /// a file.
  std::vector<ByteRange> slices(std::size_t file) const;
  bool is_active() const { return active_; }
  /// Before bytes of a live memory are overwritten, by whom they are overwritten. Waits for nobody: ranks that both write a part of one
  /// block meet between this and the writing.
  void before_write(Buffer memory);
  /// Collective over the node: afterwards no writer needs live memory any more, which may go.
  void settle();
  /// No rank reads any more.
  void end() { active_ = false; }

  /// Bytes of one of this rank's slices of file `file`, valid until the next call; `staging` has room for them. Throws IoError after a
  /// stop.
  std::span<const std::byte> read(std::size_t file, ByteRange range, std::span<std::byte> staging, const std::stop_token& stop);

 private:
  std::uint32_t word_of(std::uint32_t mark) const { return saves_ << 2 | mark; }
  bool is_now(std::uint32_t word) const { return word >> 2 == saves_; }
  std::uint32_t& word(std::size_t live, std::size_t unit) const;
  std::byte* region(int rank, bool is_private) const;
  void keep(std::size_t live, std::size_t unit);
  void share_mixed_pages();
  void copy_constant_parts();
  bool is_copied(std::size_t file, ByteRange range) const;
  void read_part(std::size_t file, const SnapshotLayout::Part& part, std::byte* to, const std::stop_token& stop);
  bool take_live(std::uint32_t& word, std::span<const std::byte> from, std::byte* to, bool all) const;
  void wait_for_copy(std::uint32_t& word, const std::stop_token& stop) const;

  Communicator* comm_ = nullptr;
  std::vector<int> node_of_;      // by rank of comm
  std::vector<int> local_of_;     // by rank of comm; -1: another node's
  SharedMemory regions_, words_;  // by local rank
  std::uint64_t bytes_ = 0;
  bool active_ = false;
  std::uint32_t saves_ = 0;  // begun so far: marks of older ones count for nothing, so none need be cleared
  SnapshotLayout layout_;
  std::mutex reading_;  // held while live memory is read
};

}  // namespace chorale
