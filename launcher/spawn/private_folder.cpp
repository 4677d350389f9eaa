#include <chorale/launcher/spawn/private_folder.hpp>

#include <cstdlib>
#include <filesystem>

#include <chorale/core/base/error.hpp>

namespace chorale {

PrivateFolder::PrivateFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "chorale-XXXXXX").string();
  if (!::mkdtemp(pattern.data()))
    throw IoError("a folder in " + std::filesystem::temp_directory_path().string() + " cannot be made; set TMPDIR");
  path_ = pattern;
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace chorale
