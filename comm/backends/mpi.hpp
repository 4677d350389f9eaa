// The MPI backend's door, without <mpi.h>: the program starts and ends MPI here; users who own MPI hand over their communicator in
// mpi_comm.hpp.
#pragma once
#include <chrono>
#include <memory>
#include <string>

#include <chorale/comm/communicator.hpp>

namespace chorale {

/// MPI_Init_thread(SERIALIZED) once, ended by the last owner (no MPI_Finalize after an abort). Called by every rank. deadline: for the
/// others to come to the first meeting after it, and of the communicator's waits until somebody sets another one. Throws CommError.
std::unique_ptr<Communicator> make_mpi_world(std::chrono::milliseconds deadline = std::chrono::seconds(60));

/// The MPI that is linked, as it names itself: "Open MPI v4.1.4, package: ...". Before MPI starts, too.
std::string mpi_library();

}  // namespace chorale
