// Backend `mpi`: starts MPI, and ends it with its last owner.
#include <chorale/comm/backends/mpi.hpp>

#include <mpi.h>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include <chorale/comm/backends/backing_folder.hpp>
#include <chorale/comm/backends/mpi_parts.hpp>
#include <chorale/comm/backends/mpi_transport.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>

namespace chorale {
namespace {

/// Open MPI's TCP asks the receiver before it sends more than 64 KiB, and the link is idle meanwhile: a bf16 step over 1 Gbit took 15.8 to
/// 27 ms instead of 14.5. Our receives are posted early, so the question is not needed. What the user has set stays.
void prefer_eager_messages() {
  ::setenv("OMPI_MCA_btl_tcp_eager_limit", "524288", 0);
  ::setenv("OMPI_MCA_btl_tcp_rndv_eager_limit", "524288", 0);
  ::setenv("OMPI_MCA_btl_tcp_max_send_size", "1048576", 0);
}

/// MPI from its start to the end of the last communicator made here.
class MpiSession {
 public:
  MpiSession() {
    int running = 0;
    check_mpi(MPI_Initialized(&running), "MPI_Initialized");
    if (running != 0) throw UsageError("[mpi] MPI already runs in this process; hand its communicator to make_mpi_communicator");
    prefer_eager_messages();
    int provided = MPI_THREAD_SINGLE;
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_SERIALIZED)
      throw CommError(-1, "MPI_Init_thread", 0,
                      "[mpi] this MPI offers thread level " + std::to_string(provided) + ", MPI_THREAD_SERIALIZED is needed");
  }
  /// After a failure MPI_Finalize would wait for ranks that do not come. An error on its way up is one.
  ~MpiSession() {
    if (std::uncaught_exceptions() > 0 && board_) board_->set(-1, "exit", 0, "a rank of this node left after an error of its own");
    if (board_ && board_->is_set()) return;
    folder_.restore();
    MPI_Finalize();
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  /// All ranks are connected.
  void settle(std::shared_ptr<AbortBoard> board) {
    board_ = std::move(board);
    folder_.hide();
  }

 private:
  BackingFolder folder_;  // first: MPI reads its setting when it starts
  std::shared_ptr<AbortBoard> board_;
};

bool under_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

}  // namespace

std::unique_ptr<Communicator> make_mpi_world(std::chrono::milliseconds deadline) {
  auto session = std::make_shared<MpiSession>();
  MpiParts parts = assemble_mpi(MPI_COMM_WORLD, deadline);
  session->settle(parts.world->abort);
  parts.world->session = std::move(session);
  auto out = std::make_unique<NodeCommunicator>(std::move(parts.members), std::move(parts.world), std::move(parts.memory), 0);
  out->set_timeout_ms(deadline.count());
  return out;
}

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  check_mpi(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
  return {text, static_cast<std::size_t>(length)};
}

void register_backend_mpi(Registry& registry) {
  registry.of<BackendEntry>().add("mpi", {"shared memory inside a node, MPI between nodes", under_launcher});
}

}  // namespace chorale
