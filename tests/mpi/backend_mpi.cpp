// One rank of the MPI backend under the contract; started by tests/mpi/run.sh. Arguments: `working`, `large`, `late`, `borrowed`, the
// number of a failing check, or `killed`. Every rank leaves a line that says `held` or `BROKEN`.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include <chorale/comm/backends/mpi.hpp>
#include <chorale/comm/backends/mpi_comm.hpp>
#include <chorale/core/base/error.hpp>

#include <chorale/tests/contracts/backend_suite.hpp>

namespace {

using namespace chorale;

/// After a failure there is no MPI_Finalize, so mpirun's own code is of no use and it ends the others as soon as one leaves:
/// verdicts are files in the folder that run.sh has made, and a rank stays until all are there.
[[noreturn]] void leave(const Communicator& comm, const std::string& what, const std::string& found, int survivors) {
  const std::filesystem::path folder = std::getenv("VERDICTS") != nullptr ? std::getenv("VERDICTS") : ".";
  const std::string line = "rank " + std::to_string(comm.rank()) + (found.empty() ? " held: " + what : " BROKEN: " + what + ": " + found);
  std::ofstream(folder / ("rank_" + std::to_string(comm.rank()))) << line << std::endl;
  for (int tenths = 0; tenths < 80; ++tenths) {
    using Files = std::filesystem::directory_iterator;
    if (std::distance(Files(folder), Files()) >= survivors) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
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

void hold(Communicator& comm, const std::vector<contract::Check>& checks) {
  comm.set_timeout_ms(20000);
  for (const contract::Check& check : checks)
    if (const std::string found = run(check, comm); !found.empty()) {
      comm.abort(found);
      leave(comm, check.sentence, found, comm.size());
    }
}

void working(Communicator& comm) {
  hold(comm, contract::working_checks());
  hold(comm, contract::shape_checks());
  std::cout << "rank " << comm.rank() << " held: all working checks" << std::endl;
}

void large(Communicator& comm) {
  hold(comm, contract::large_checks());
  std::cout << "rank " << comm.rank() << " held: all large checks" << std::endl;
}

void late(Communicator& comm) {
  hold(comm, contract::late_checks());
  std::cout << "rank " << comm.rank() << " held: all late checks" << std::endl;
}

/// "3": the failing check of that number; "i3": the interrupted one.
contract::Check failing(const std::string& mode) {
  const bool interrupted = mode[0] == 'i';
  const auto checks = interrupted ? contract::interrupted_checks() : contract::failing_checks();
  return checks.at(static_cast<std::size_t>(std::stoi(mode.substr(interrupted ? 1 : 0))));
}

/// A program that owns MPI lends us its communicator, twice, and ends MPI itself.
int borrowed(int* argc, char*** argv) {
  const auto must_refuse = [](MPI_Comm comm, const std::string& words) {
    try {
      make_mpi_communicator(comm);
    } catch (const UsageError& error) {
      if (std::string(error.what()).find(words) != std::string::npos) return;
    }
    std::cerr << "make_mpi_communicator does not say: " << words << std::endl;
    std::_Exit(1);
  };
  must_refuse(MPI_COMM_WORLD, "before MPI_Init");
  int provided = 0;
  MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided);
  {
    auto first = make_mpi_communicator(MPI_COMM_WORLD);
    auto second = make_mpi_communicator(MPI_COMM_WORLD);
    working(*first);
    second->barrier("still there").wait();
    must_refuse(MPI_COMM_NULL, "MPI_COMM_NULL");
  }
  const int code = MPI_Finalize();
  must_refuse(MPI_COMM_WORLD, "after MPI_Finalize");
  return code;
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
    leave(comm, "a killed peer is noticed",
          named && seconds < 3 ? "" : std::string(error.what()) + " after " + std::to_string(seconds) + " s", comm.size() - 1);
  }
  leave(comm, "a killed peer is noticed", "nothing happened", comm.size() - 1);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "working";
  if (mode == "borrowed") return borrowed(&argc, &argv);
  auto comm = make_mpi_world();
  if (mode == "working" || mode == "large" || mode == "late") {
    mode == "working" ? working(*comm) : mode == "large" ? large(*comm) : late(*comm);
    return 0;
  }
  if (mode == "killed") killed(*comm);
  const contract::Check check = failing(mode);
  leave(*comm, check.sentence, run(check, *comm), comm->size());
}
