// Who changes what a run's folder says of its attempts does so alone, as far as the file system has such locks: also a network's mostly
// does.
#pragma once
#include <filesystem>

namespace chorale {

class FolderGuard {
 public:
  /// Waits for those who are at it, for 5 s at most: any process that may read the folder can hold its lock, and must not hold up a run's
  /// end. Then, or where there is no such lock, who comes last sees what the others have written.
  explicit FolderGuard(const std::filesystem::path& folder);
  ~FolderGuard();
  FolderGuard(const FolderGuard&) = delete;
  FolderGuard& operator=(const FolderGuard&) = delete;
  /// False: the folder cannot be opened.
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

}  // namespace chorale
