// A word that one process of a job leaves for the others, before MPI is there: where the hub listens. Through PMIx, which mpirun and
// srun --mpi=pmix serve. Nobody waits for those who do not ask: a process that is stopped holds up no other one.
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
  bool has_joined() const { return !job_.empty(); }
  /// For all processes of the job to read; false: there is no PMIx. Once a process: who has read a word may keep it.
  bool put(const std::string& word);
  struct Reading {
    std::string word = {};  // empty: none
    bool is_late = false;   // that process has put none within the limit
  };
  /// The word of process `rank`, once it has put one. Asks its node's server: works as long as mpirun or srun does, whatever `rank` does.
  Reading get(int rank, std::chrono::milliseconds limit);

 private:
  std::string job_;  // PMIx's name of it; empty: not joined
};

/// The PMIx that is linked, as it names itself.
std::string pmix_library();

}  // namespace chorale
