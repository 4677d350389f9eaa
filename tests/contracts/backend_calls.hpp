// Any verb with any type, size and place of memory, run and checked by all ranks together: what sequences of calls are made of.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale::contract {

enum class Verb { all_reduce, reduce_scatter, all_gather, all_to_all, broadcast, messages, barrier };
inline constexpr Verb kVerbs[] = {Verb::all_reduce, Verb::reduce_scatter, Verb::all_gather, Verb::all_to_all,
                                  Verb::broadcast,  Verb::messages,       Verb::barrier};
inline constexpr DType kTypes[] = {DType::f32, DType::f64, DType::bf16, DType::i32, DType::i64, DType::u8};
const char* name(Verb verb);

struct Call {
  Verb verb = Verb::barrier;
  DType dtype = DType::f32;
  std::int64_t n = 0;       // elements of the larger buffer of a rank
  std::int64_t offset = 0;  // elements by which buffers miss their alignment
  bool shared = false;      // in memory that the communicator allocated
  const char* label = "call";

  std::string text() const;
};

/// Collective. Throws Broken, with the call, when this rank got something else than it should.
void exercise(Communicator& comm, const Call& call);

}  // namespace chorale::contract
