// While one of these lives, its rank reads or writes buffers of its peers. A peer that fails waits for it to end before
// its caller may free those buffers; after a failure none begins.
#pragma once
#include <atomic>

#include <chorale/comm/abort_board.hpp>
#include <chorale/comm/node_page.hpp>

namespace chorale {

class Touch {
 public:
  /// Throws the board's error when it is set. Sequentially consistent: either we see the flag or the failing peer sees us.
  Touch(Slot& slot, const AbortBoard& board) : slot_(slot) {
    slot_.touching.store(1, std::memory_order_seq_cst);
    if (!board.is_set()) return;
    slot_.touching.store(0, std::memory_order_release);
    throw board.error();
  }
  ~Touch() { slot_.touching.store(0, std::memory_order_release); }
  Touch(const Touch&) = delete;
  Touch& operator=(const Touch&) = delete;

 private:
  Slot& slot_;
};

}  // namespace chorale
