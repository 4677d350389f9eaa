// The protocol of comm/rendezvous.hpp, comm/bell.hpp and comm/reduce_rounds.cpp as programs of single memory accesses, one for
// each rank, run in every interleaving. Memory is sequentially consistent, as the protocol's atomics are; a write of data has
// two steps, so that whoever reads meanwhile is caught.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace chorale::model {

/// Mistakes that the model must find, to show that it can.
enum class Mistake { none, looks_at_sleepers_before_entering, listens_after_looking, one_stage, one_board, one_slot, no_ring };

enum class Step : std::uint8_t {
  write,            // cell = torn, then the value
  finish_write,     //
  read,             // cell must hold the value
  enter,            // arrived = value
  ask_sleepers,     // jump when nobody sleeps
  ask_arrived,      // jump when the peer has not come to the phase
  ring,             // rings += 1
  wake,             // all who sleep go on
  count_in,         // sleepers += 1
  listen,           // heard = rings
  sleep,            // blocks while rings == heard and nobody wakes us
  count_out,        // sleepers -= 1, then jump
  jump_if_complete  // after a look: jump, nobody was missing
};

struct Instruction {
  Step step;
  int cell = 0;   // of data, or the peer
  int value = 0;  // or the phase
  int target = 0;
};

using Program = std::vector<Instruction>;

/// One rank's collectives in a row: announce, stage, enter, check, sum, publish, hand out, leave.
Program collectives(int rank, int ranks, int count, int rounds, Mistake mistake);

struct Verdict {
  std::string broken;  // empty: every interleaving ends well
  std::size_t states = 0;
};
/// At most three ranks.
Verdict explore(const std::vector<Program>& programs);

}  // namespace chorale::model
