// Open MPI's own shared memory between ranks lies in /dev/shm under a name, and a killed job leaves it there. It goes into a
// folder of ours instead, which is gone from the moment when all ranks have opened what is in it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <chorale/core/base/private_folder.hpp>

namespace chorale {

class BackingFolder {
 public:
  /// Before MPI_Init. Makes the folder and tells MPI of it, unless the user has set MPI's own setting.
  BackingFolder();
  ~BackingFolder();
  BackingFolder(const BackingFolder&) = delete;
  BackingFolder& operator=(const BackingFolder&) = delete;

  /// When all ranks are connected: removes the names, the memory lives on.
  void hide() noexcept;
  /// Before MPI_Finalize, which complains loudly about each file that it cannot unlink: puts empty ones there.
  void restore() noexcept;

 private:
  std::optional<PrivateFolder> folder_;  // empty: MPI uses a place of its own
  std::vector<std::string> files_;
};

}  // namespace chorale
