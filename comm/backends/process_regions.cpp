#include <chorale/comm/backends/process_regions.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/system_limits.hpp>

namespace chorale {
namespace {

std::size_t mapped_bytes(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes == 0 ? page : (bytes + page - 1) / page * page;
}

std::shared_ptr<std::byte> map(int descriptor, std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (memory == MAP_FAILED)
    throw IoError("[allocate] mmap of " + std::to_string(bytes) + " shared bytes: " + std::strerror(errno) + "; " + address_space_text());
  madvise(memory, bytes, MADV_HUGEPAGE);  // where shmem_enabled is "advise"; "never", the common setting, passes over it
  return {static_cast<std::byte*>(memory), [bytes](std::byte* at) { munmap(at, bytes); }};
}

}  // namespace

ProcessRegions::~ProcessRegions() {
  for (const auto& [number, descriptor] : offered_) close(descriptor);
}

Region ProcessRegions::create(std::size_t bytes) {
  const int descriptor = memfd_create("chorale", MFD_CLOEXEC);
  if (descriptor < 0) throw IoError("[allocate] memfd_create: " + std::string(std::strerror(errno)) + "; " + files_text());
  const std::size_t size = mapped_bytes(bytes);
  if (ftruncate(descriptor, static_cast<off_t>(size)) != 0) {
    const std::string reason = std::strerror(errno);
    close(descriptor);
    throw IoError("[allocate] no " + std::to_string(size) + " bytes of shared memory: " + reason);
  }
  const auto number = static_cast<std::uint64_t>(descriptor);
  offered_[number] = descriptor;
  return {map(descriptor, size), {static_cast<std::uint64_t>(getpid()), number}};
}

std::shared_ptr<std::byte> ProcessRegions::open(RegionKey key, std::size_t bytes) {
  const std::string path = "/proc/" + std::to_string(key.owner) + "/fd/" + std::to_string(key.number);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat status {};
  const std::size_t size = mapped_bytes(bytes);
  if (descriptor < 0 || fstat(descriptor, &status) != 0 || static_cast<std::size_t>(status.st_size) != size) {
    const std::string reason = descriptor < 0 ? std::strerror(errno) : "its size is " + std::to_string(status.st_size);
    if (descriptor >= 0) close(descriptor);
    throw CommError(-1, "allocate", 0,
                    "[allocate] cannot open " + std::to_string(size) + " bytes shared by process " + std::to_string(key.owner) + " (" +
                        path + "): " + reason + "; ranks of one node need one user and one process namespace");
  }
  try {
    auto memory = map(descriptor, size);
    close(descriptor);
    return memory;
  } catch (...) {
    close(descriptor);
    throw;
  }
}

void ProcessRegions::retire(RegionKey key) noexcept {
  const auto offered = offered_.find(key.number);
  if (offered == offered_.end()) return;
  close(offered->second);
  offered_.erase(offered);
}

}  // namespace chorale
