// Messages between ranks of different nodes. Nothing here blocks: transfers are posted and tested.
#pragma once
#include <cstddef>
#include <memory>
#include <span>

#include <chorale/comm/block_pool.hpp>

namespace chorale {

class Transfer : public Pooled {
 public:
  virtual ~Transfer() = default;
  /// Pushes on; true when the memory may be used again. Throws CommError for a failure of the wire.
  virtual bool test() = 0;
};

/// Ranks are those of the communicator that the transport was made with. Messages between two ranks with equal tags
/// arrive in the order in which they were posted; both sides name the same length.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::unique_ptr<Transfer> send(int to, int tag, std::span<const std::byte> bytes) = 0;
  virtual std::unique_ptr<Transfer> receive(int from, int tag, std::span<std::byte> bytes) = 0;
  /// Nudges the wire: a transfer may be complete for us and still need our help to leave. Called for the last messages of a rank.
  virtual void nudge() = 0;
};

}  // namespace chorale
