// How the ranks of a node meet. A collective is a row of phases; a rank that enters phase p stores p in its slot, and may go on
// when every slot says p or more. There is no other synchronisation, and no rank writes another one's slot.
//
// Why what is read is right:
// - arrive: whatever a rank wrote before it stored p (announcement, staged data, partial sums, its part of a board, sums in its
//   peers' own memory) happens before what any rank does after it has read p there: a release that an acquire reads. Stores
//   past the caches are fenced where they are made (copy.cpp).
// - reduce: between two phases every word of shared memory is either only read, or written by one rank and read by nobody else.
// - publish: sums on a board are read one phase after they were written.
// - leave: a rank leaves a collective after its last phase while peers may still read what it staged or announced for it. So
//   slots are doubled by the parity of the announcement, stages and boards by that of their use: a rank that writes with the same
//   parity again has been through one phase more, which its peers entered only after they had read. Callers' own buffers are
//   handed back after a phase that ends all reading.
// Entering is sequentially consistent, not only a release: the bell needs its store before the load of the sleepers. The last
// one to enter sees all others there and rings; an earlier one has nothing to tell.
// tests/comm/rendezvous_model_test.cpp runs this protocol in every interleaving. One object for each rank, one thread.
#pragma once
#include <chorale/comm/bell.hpp>
#include <chorale/comm/slot.hpp>

namespace chorale {

class Rendezvous {
 public:
  Rendezvous(Slot* slots, int ranks, Bell* bell) : slots_(slots), ranks_(ranks), bell_(bell) {}

  void arrive(int local, std::uint64_t phase) const {
    slots_[local].arrived.store(phase, std::memory_order_seq_cst);
    if (bell_->has_sleepers() && is_complete(phase)) bell_->ring();
  }
  bool is_complete(std::uint64_t phase) const {
    for (int local = 0; local < ranks_; ++local)
      if (slots_[local].arrived.load(std::memory_order_seq_cst) < phase) return false;
    return true;
  }
  /// After any other change that a sleeping rank may wait for: a message, an abort.
  void tell() const noexcept {
    if (bell_->has_sleepers()) bell_->ring();
  }
  Bell& bell() const { return *bell_; }

 private:
  Slot* slots_;
  int ranks_;
  Bell* bell_;
};

}  // namespace chorale
