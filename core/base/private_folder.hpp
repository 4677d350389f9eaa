// A folder of this process in a place for temporary files, of mode 0700, that goes with its owner. One whose owner was killed goes when its
// user makes the next one there.
#pragma once
#include <filesystem>
#include <string>

namespace chorale {

/// Throws IoError when the place cannot be written.
class PrivateFolder {
 public:
  PrivateFolder() : PrivateFolder(std::filesystem::temp_directory_path(), "chorale-") {}
  /// prefix: "chorale-", "chorale-mpi-"; six letters follow.
  PrivateFolder(const std::filesystem::path& where, const std::string& prefix);
  ~PrivateFolder() { remove(); }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  const std::string& path() const { return path_; }
  /// Now; nothing where it has gone already.
  void remove() noexcept;
  /// Again, under the same name; nothing where that is taken or the place cannot be written.
  void make_again() noexcept;

 private:
  std::string path_;
  bool is_there_ = false;
  int lock_ = -1;  // of the folder itself, held as long as the owner lives, however it ends
};

/// Those of this user whose owners have gone. Only what is locked by nobody and is empty, or bears the mark of an owner.
void remove_abandoned_folders(const std::filesystem::path& where) noexcept;

}  // namespace chorale
