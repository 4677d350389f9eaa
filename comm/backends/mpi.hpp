// The MPI backend's door, without <mpi.h>: the program starts and ends MPI here; users who own MPI hand over their communicator in
// mpi_comm.hpp.
#pragma once
#include <memory>
#include <string>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// MPI_Init_thread(SERIALIZED) once, ended by the last owner (no MPI_Finalize after an abort). Called by every rank.
std::unique_ptr<Communicator> make_mpi_world();

/// The MPI that is linked, as it names itself: "Open MPI v4.1.4, package: ...". Before MPI starts, too.
std::string mpi_library();

}  // namespace chorale
