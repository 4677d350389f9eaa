// What a caller may get wrong in a verb: a ShapeError at once. A refusal is put into words only when it is one, because words are
// made of memory. Pure functions.
#pragma once
#include <cstdint>
#include <span>

#include <chorale/comm/announcement.hpp>
#include <chorale/comm/communicator.hpp>

namespace chorale {

struct Call {
  Verb verb;
  Label label;
};

/// One count for each rank, none below 0.
void require_counts(std::span<const std::int64_t> counts, int size, Call call);
/// `which`: the buffer's name.
void require_elements(std::int64_t has, std::int64_t needs, const char* which, Call call);
void require_one_type(Buffer input, Buffer output, Call call);
/// `which`: from, to or root.
void require_rank(int rank, int size, const char* which, Call call);

}  // namespace chorale
