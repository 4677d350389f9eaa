#include <chorale/core/base/private_folder.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace fs = std::filesystem;

namespace {
constexpr const char* kOwner = "owner";  // the mark: what a user calls chorale-models is not ours to remove
constexpr std::size_t kLetters = 6;      // of mkdtemp
constexpr int kTries = 100;

bool is_name_of_ours(std::string_view name) {
  if (!name.starts_with("chorale-")) return false;
  name.remove_prefix(name.starts_with("chorale-mpi-") ? 12 : 8);
  return name.size() == kLetters && std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
}

/// An open folder that is locked by us; -1: it is no folder, not this user's alone, or somebody else's.
int locked(const std::string& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat opened = {}, named = {};
  const bool is_ours = folder >= 0 && ::fstat(folder, &opened) == 0 && opened.st_uid == ::geteuid() && (opened.st_mode & 077) == 0;
  // It may have been removed, and made again, before it was locked.
  if (is_ours && ::flock(folder, LOCK_EX | LOCK_NB) == 0 && ::lstat(path.c_str(), &named) == 0 && named.st_ino == opened.st_ino &&
      named.st_dev == opened.st_dev)
    return folder;
  if (folder >= 0) ::close(folder);
  return -1;
}

bool has_mark(int folder) {
  struct stat mark = {};
  return ::fstatat(folder, kOwner, &mark, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(mark.st_mode) && mark.st_uid == ::geteuid();
}

void put_mark(int folder) {
  const int mark = ::openat(folder, kOwner, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (mark >= 0) ::close(mark);
}

/// The mark goes last: who is killed in here leaves what the next one removes.
void remove_folder(const fs::path& path) {
  std::error_code ignored;
  for (fs::directory_iterator it(path, ignored), end; !ignored && it != end; it.increment(ignored)) {
    std::error_code failed;
    if (it->path().filename() != kOwner) fs::remove_all(it->path(), failed);
  }
  ::unlink((path / kOwner).c_str());
  ::rmdir(path.c_str());
}
}  // namespace

PrivateFolder::PrivateFolder(const fs::path& where, const std::string& prefix) {
  remove_abandoned_folders(where);
  for (int i = 0; i < kTries; ++i) {
    std::string pattern = (where / (prefix + "XXXXXX")).string();
    if (!::mkdtemp(pattern.data())) throw IoError("a folder in " + where.string() + " cannot be made; set TMPDIR");
    path_ = pattern, is_there_ = true;
    lock_ = locked(path_);
    if (lock_ >= 0) put_mark(lock_);
    if (lock_ >= 0 || fs::exists(path_)) return;  // on a file system without locks nobody else removes it either
  }
  throw IoError("a folder in " + where.string() + " cannot be kept; set TMPDIR");
}

void PrivateFolder::remove() noexcept {
  if (!std::exchange(is_there_, false)) return;  // its name may be another's by now
  try {
    remove_folder(path_);
  } catch (...) {  // of memory: the next one removes it
  }
  if (lock_ >= 0) ::close(lock_);
  lock_ = -1;
}

void PrivateFolder::make_again() noexcept {
  if (is_there_ || ::mkdir(path_.c_str(), 0700) != 0) return;
  is_there_ = true;
  lock_ = locked(path_);
  if (lock_ >= 0) put_mark(lock_);
}

void remove_abandoned_folders(const fs::path& where) noexcept {
  try {
    std::error_code error;
    for (fs::directory_iterator it(where, error), end; !error && it != end; it.increment(error)) {
      const std::string path = it->path().string();
      if (!is_name_of_ours(it->path().filename().string())) continue;
      const int folder = locked(path);
      if (folder < 0) continue;
      if (has_mark(folder))
        remove_folder(path);
      else
        ::rmdir(path.c_str());  // only where it is empty
      ::close(folder);
    }
  } catch (...) {  // of memory
  }
}

}  // namespace chorale
