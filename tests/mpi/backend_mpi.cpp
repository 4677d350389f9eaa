// One rank of the MPI backend under the contract; started by tests/mpi/run.sh. Arguments: `working`, or the number of a failing check,
// or `killed`. Ends with 0 when all held, 1 with a line for each sentence that did not.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/core/base/error.hpp>

#include "../contracts/backend_suite.hpp"

namespace {

using namespace chorale;

/// After a failure there is no MPI_Finalize, so mpirun's own code is of no use: the line is the verdict.
[[noreturn]] void leave(const Communicator& comm, const std::string& what, const std::string& found) {
  const std::string line = "rank " + std::to_string(comm.rank()) + " " + (found.empty() ? "held: " + what : "BROKEN: " + what + ": " + found) + "\n";
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  sleep(1);  // mpirun ends the others as soon as one has left without MPI_Finalize
  _exit(0);
}

std::string run(const contract::Check& check, Communicator& comm) {
  try {
    check.run(comm);
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

void working(Communicator& comm) {
  comm.set_timeout_ms(20000);
  for (const contract::Check& check : contract::working_checks())
    if (const std::string found = run(check, comm); !found.empty()) {
      comm.abort(found);
      leave(comm, check.sentence, found);
    }
  std::printf("rank %d held: all working checks\n", comm.rank());
}

void killed(Communicator& comm) {
  comm.set_timeout_ms(30000);
  comm.barrier("alive").wait();
  if (comm.rank() == comm.size() - 1) kill(getpid(), SIGKILL);
  // Without mpirun's own reaction, which the caller has switched off, we alone notice.
  const auto start = std::chrono::steady_clock::now();
  try {
    comm.barrier("dead").wait();
  } catch (const CommError& error) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const bool named = error.rank == comm.size() - 1 && std::string(error.what()).find("has died") != std::string::npos;
    leave(comm, "a killed peer is noticed", named && seconds < 3 ? "" : std::string(error.what()) + " after " + std::to_string(seconds) + " s");
  }
  leave(comm, "a killed peer is noticed", "nothing happened");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "working";
  auto comm = make_mpi_world();
  if (mode == "working") {
    working(*comm);
    return 0;
  }
  if (mode == "killed") killed(*comm);
  const auto checks = contract::failing_checks();
  const contract::Check& check = checks.at(static_cast<std::size_t>(std::atoi(mode.c_str())));
  leave(*comm, check.sentence, run(check, *comm));
}
