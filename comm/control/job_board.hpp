// A word that the first process of a job leaves for all others, before MPI is there: where the hub listens. Through PMIx, which mpirun and
// srun --mpi=pmix serve.
#pragma once
#include <chrono>
#include <string>

namespace chorale {

class JobBoard {
 public:
  /// Joins PMIx's session, where there is one. MPI, which comes later, shares it.
  JobBoard();
  /// Leaves it; after MPI has. A process that leaves without it counts as crashed for mpirun.
  ~JobBoard();
  JobBoard(const JobBoard&) = delete;
  JobBoard& operator=(const JobBoard&) = delete;
  /// Collective over the job's processes. word: counts on process 0. Returns it on all; empty where there is no PMIx, or not all processes
  /// have come within `limit`.
  std::string share(const std::string& word, std::chrono::milliseconds limit);

 private:
  bool has_joined_ = false;
};

/// The PMIx that is linked, as it names itself.
std::string pmix_library();

}  // namespace chorale
