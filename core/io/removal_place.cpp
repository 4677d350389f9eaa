#include <chorale/core/io/removal_place.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

bool is_trusted(uid_t user) { return user == ::geteuid() || user == 0; }

/// Closes with its owner.
struct Opened {
  explicit Opened(int d) : descriptor(d) {}
  ~Opened() {
    if (descriptor >= 0) ::close(descriptor);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  int descriptor;
};

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::string& whose, uid_t user) {
  throw IoError(
      "[remove] " + folder.string() + " is a link, and " + whose + " belongs to user " + std::to_string(user) +
      ": what lies behind links of others is not removed. Make the link yourself, to a folder of your own, or put a folder there");
}

/// Who made the link, who owns what is behind it, and its text: of one and the same link, whatever its name means by now.
int open_behind(const std::filesystem::path& folder, int link, uid_t maker) {
  if (!is_trusted(maker)) refuse(folder, "it", maker);
  std::array<char, 4096> text{};
  const ssize_t length = ::readlinkat(link, "", text.data(), text.size() - 1);
  if (length < 0) return -1;
  const int parent = ::open(folder.has_parent_path() ? folder.parent_path().c_str() : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const Opened closes(parent);
  const int behind = ::openat(parent, text.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status = {};
  if (behind >= 0 && ::fstat(behind, &status) == 0 && !is_trusted(status.st_uid)) {
    ::close(behind);
    refuse(folder, "the folder behind it", status.st_uid);
  }
  return behind;
}

}  // namespace

RemovalPlace::RemovalPlace(const std::filesystem::path& folder) : folder_(folder) {
  const Opened name(::open(folder.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status = {};
  if (name.descriptor >= 0 && ::fstat(name.descriptor, &status) == 0)
    descriptor_ = S_ISLNK(status.st_mode) ? open_behind(folder, name.descriptor, status.st_uid)
                                          : ::openat(name.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) throw IoError("[remove] " + folder.string() + ": " + std::strerror(errno));
}

RemovalPlace::~RemovalPlace() { ::close(descriptor_); }

std::filesystem::path RemovalPlace::path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

void RemovalPlace::remove(const std::string& name) const {
  std::error_code error;
  std::filesystem::remove_all(path() / name, error);
  if (error) fail("remove", name, error.message());
}

void RemovalPlace::remove_by(const std::string& name, const std::string& removed_name) const {
  remove(removed_name);
  if (::rename((path() / name).c_str(), (path() / removed_name).c_str()) != 0) fail("rename", name, std::strerror(errno));
  if (::fsync(descriptor_) != 0) fail("sync the folder of", name, std::strerror(errno));
  remove(removed_name);
}

void RemovalPlace::fail(const std::string& operation, const std::string& name, const std::string& why) const {
  throw IoError("[" + operation + "] " + (folder_ / name).string() + ": " + why);
}

}  // namespace chorale
