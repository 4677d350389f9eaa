#include <chorale/comm/arguments.hpp>

#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

[[noreturn]] void refuse(Call call, const std::string& what) {
  throw ShapeError("[" + std::string(name(call.verb)) + " '" + std::string(call.label.name) + "'] " + what);
}

}  // namespace

void require_counts(std::span<const std::int64_t> counts, int size, Call call) {
  if (counts.size() != static_cast<std::size_t>(size))
    refuse(call, "counts for " + std::to_string(counts.size()) + " ranks given, there are " + std::to_string(size));
  for (std::int64_t count : counts)
    if (count < 0) refuse(call, "a count is " + std::to_string(count) + "; give 0 for an empty part");
}

void require_elements(std::int64_t has, std::int64_t needs, const char* which, Call call) {
  if (has != needs)
    refuse(call, std::string(which) + " has " + std::to_string(has) + " elements, the counts ask for " + std::to_string(needs));
}

void require_one_type(Buffer input, Buffer output, Call call) {
  if (input.dtype != output.dtype) refuse(call, "input and output differ in type");
}

void require_rank(int rank, int size, const char* which, Call call) {
  if (rank < 0 || rank >= size) refuse(call, which + (" rank " + std::to_string(rank)) + " of a communicator of " + std::to_string(size));
}

}  // namespace chorale
