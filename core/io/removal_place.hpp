// A folder from which this program removes things by name. Users link the checkpoints of a run to a larger disk; who else can write into
// the run directory could do so too, and have what lies there removed in our name.
#pragma once
#include <filesystem>
#include <string>

namespace chorale {

class RemovalPlace {
 public:
  /// Opens the folder. Where its name is a link, that is followed only when this user or root has made it, and owns the folder behind it.
  /// Throws IoError, also for a link of others.
  explicit RemovalPlace(const std::filesystem::path& folder);
  ~RemovalPlace();
  RemovalPlace(const RemovalPlace&) = delete;
  RemovalPlace& operator=(const RemovalPlace&) = delete;
  /// A path to the open folder itself: whatever becomes of its name meanwhile does not change it.
  std::filesystem::path path() const;
  /// Removes that entry with all that is in it; no link is followed.
  void remove(const std::string& name) const;
  /// Renames it first, so that no half of it can be taken for a whole, and syncs that.
  void remove_by(const std::string& name, const std::string& removed_name) const;

 private:
  [[noreturn]] void fail(const std::string& operation, const std::string& name, const std::string& why) const;
  std::filesystem::path folder_;
  int descriptor_ = -1;
};

}  // namespace chorale
