// A folder of this process in TMPDIR that goes with its owner.
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
};

}  // namespace chorale
