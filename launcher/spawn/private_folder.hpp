// A folder of this process in TMPDIR that goes with its owner. One whose owner was killed goes when the next is made.
#pragma once
#include <string>

namespace chorale {

class PrivateFolder {
 public:
  PrivateFolder();  // throws IoError when TMPDIR cannot be written
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int lock_ = -1;  // held as long as the owner lives, however it ends
};

}  // namespace chorale
