// What a communicator over MPI is put together from; shared by the two ways to make one.
#pragma once
#include <mpi.h>

#include <chrono>
#include <memory>

#include <chorale/comm/node_communicator.hpp>

namespace chorale {

struct MpiParts {
  Membership members;
  std::shared_ptr<RankWorld> world;
  std::shared_ptr<std::byte> memory;  // the node's shared page
};

/// Collective over `comm`, which is duplicated. Finds the nodes, orders the ranks, opens the page. Blocks, with a deadline for each
/// meeting.
MpiParts assemble_mpi(MPI_Comm comm, std::chrono::milliseconds deadline = std::chrono::seconds(60));

}  // namespace chorale
