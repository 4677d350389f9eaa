// Backend `mpi`: starts MPI, and ends it with its last owner.
#include <chorale/comm/backends/mpi.hpp>

#include <mpi.h>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>

#include <chorale/comm/backends/mpi_parts.hpp>
#include <chorale/comm/backends/mpi_transport.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>

namespace chorale {
namespace {

/// Open MPI's own shared memory between ranks lies in /dev/shm under a name, and a killed job leaves it there. It goes into a
/// folder of ours instead, which is removed as soon as all ranks have opened what is in it. What the user has set stays.
class BackingFolder {
 public:
  BackingFolder() {
    constexpr const char* kSetting = "OMPI_MCA_btl_vader_backing_directory";
    if (std::getenv(kSetting) != nullptr) return;
    std::error_code error;
    std::string name = (std::filesystem::temp_directory_path(error) / "chorale-mpi-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) return;  // then MPI uses its own place
    path_ = name;
    setenv(kSetting, path_.c_str(), 0);
  }
  ~BackingFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  BackingFolder(const BackingFolder&) = delete;
  BackingFolder& operator=(const BackingFolder&) = delete;

 private:
  std::string path_;
};

/// MPI from its start to the end of the last communicator made here.
class MpiSession {
 public:
  MpiSession() {
    int running = 0;
    check_mpi(MPI_Initialized(&running), "MPI_Initialized");
    if (running != 0) throw UsageError("[mpi] MPI already runs in this process; hand its communicator to make_mpi_communicator");
    int provided = MPI_THREAD_SINGLE;
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_SERIALIZED)
      throw CommError(-1, "MPI_Init_thread", 0, "[mpi] this MPI offers thread level " + std::to_string(provided) + ", MPI_THREAD_SERIALIZED is needed");
  }
  /// After a failure MPI_Finalize would wait for ranks that do not come. An error on its way up is one.
  ~MpiSession() {
    if (std::uncaught_exceptions() > 0 && board_) board_->set(-1, "exit", 0, "a rank of this node left after an error of its own");
    if (!board_ || !board_->is_set()) MPI_Finalize();
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  void watch(std::shared_ptr<AbortBoard> board) { board_ = std::move(board); }

 private:
  std::shared_ptr<AbortBoard> board_;
};

bool under_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

}  // namespace

std::unique_ptr<Communicator> make_mpi_world() {
  const BackingFolder folder;
  auto session = std::make_shared<MpiSession>();
  MpiParts parts = assemble_mpi(MPI_COMM_WORLD);
  session->watch(parts.world->abort);
  parts.world->session = std::move(session);
  return std::make_unique<NodeCommunicator>(std::move(parts.members), std::move(parts.world), std::move(parts.memory), 0);
}

void register_backend_mpi(Registry& registry) {
  registry.of<BackendEntry>().add("mpi", {"shared memory inside a node, MPI between nodes", under_launcher});
}

}  // namespace chorale
