// Zeroed memory that ranks of one node share, without a name anywhere: one creates it, hands its key over, others open it.
// Implemented over plain memory for threads and over memfd for processes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace chorale {

/// Enough for a peer on the same node to open the memory.
struct RegionKey {
  std::uint64_t owner = 0;   // process id, or 0 for threads
  std::uint64_t number = 0;  // descriptor, or a running number
};

struct Region {
  std::shared_ptr<std::byte> memory;  // unmaps when the last copy goes
  RegionKey key;
};

/// Shared by the communicators of one rank; calls may come from several ranks' threads.
class SharedRegions {
 public:
  virtual ~SharedRegions() = default;
  /// At least one page, zeroed, page aligned. Throws IoError when there is no memory.
  virtual Region create(std::size_t bytes) = 0;
  /// Maps what a peer created with this size. Throws CommError with the reason.
  virtual std::shared_ptr<std::byte> open(RegionKey key, std::size_t bytes) = 0;
  /// The creator says that all peers have opened it: the key is dead, the memory lives on.
  virtual void retire(RegionKey key) noexcept = 0;
  /// True when every address of this process means the same to all ranks of the node.
  virtual bool one_address_space() const = 0;
};

/// Tells whether a peer on this node still runs. `process` is what the peer wrote as its own.
struct ProcessMark {
  std::int64_t id = 0;           // 0: cannot be watched
  std::uint64_t start_time = 0;  // guards against a reused id
};
ProcessMark own_process();
bool is_gone(ProcessMark process);
/// It has been stopped by a signal or a debugger, and nobody has let it go on.
bool is_stopped(ProcessMark process);

}  // namespace chorale
