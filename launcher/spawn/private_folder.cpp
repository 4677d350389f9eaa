#include <chorale/launcher/spawn/private_folder.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {
constexpr const char* kOwner = "owner";

/// Holds the lock of a folder; -1 when somebody else does, or it is none of ours.
int lock_of(const fs::path& folder, int flags) {
  const int file = ::open((folder / kOwner).c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file >= 0 && ::flock(file, LOCK_EX | LOCK_NB) == 0) return file;
  if (file >= 0) ::close(file);
  return -1;
}

void remove_abandoned(const fs::path& where) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(where, ignored)) {
    if (!entry.path().filename().string().starts_with("chorale-") || entry.is_symlink(ignored)) continue;
    const int lock = lock_of(entry.path(), 0);
    if (lock < 0) continue;
    fs::remove_all(entry.path(), ignored);
    ::close(lock);
  }
}
}  // namespace

PrivateFolder::PrivateFolder() {
  const fs::path where = fs::temp_directory_path();
  remove_abandoned(where);
  std::string pattern = (where / "chorale-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw IoError("a folder in " + where.string() + " cannot be made; set TMPDIR");
  path_ = pattern;
  lock_ = lock_of(path_, O_CREAT);
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace chorale
