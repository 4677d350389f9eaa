// Are all copies of the parameters still equal? A bit that memory, a cache or a wire has turned is found here, not in the results.
#pragma once
#include <cstdint>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

/// Collective; 8 bytes a rank, and where they differ 8 more for each parameter. has_copy: this rank holds a copy of its own, or is the one
/// that answers for its node's. Throws CommError on all ranks, with the rank whose copy is unlike most others'.
void check_replicas(Communicator& comm, const FlatParams& params, bool has_copy, std::int64_t step);

}  // namespace chorale
