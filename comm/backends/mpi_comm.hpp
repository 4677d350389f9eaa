// For programs that own MPI: a Communicator over their MPI_Comm. Neither MPI_Init nor MPI_Finalize is called here.
#pragma once
#include <mpi.h>

#include <memory>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// Collective over `comm`, which is duplicated; MPI must be initialised with MPI_THREAD_SERIALIZED, or be called from one thread only.
/// Ranks are ordered by (node, rank in `comm`), so rank() may differ from MPI's when a launcher deals ranks out in turn.
/// The duplicate lasts until MPI_Finalize: freeing it would be a collective call, and destructors do not communicate.
/// A test aid: CHORALE_FAKE_NODES=k in the environment cuts the ranks of each real node into k nodes, so that the paths
/// between nodes run on one machine.
std::unique_ptr<Communicator> make_mpi_communicator(MPI_Comm comm);

}  // namespace chorale
