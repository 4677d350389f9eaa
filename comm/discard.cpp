#include <chorale/comm/discard.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace chorale {

void discard(Buffer part) noexcept {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE)), at = reinterpret_cast<std::uintptr_t>(part.data);
  const std::uintptr_t first = (at + page - 1) / page * page, last = (at + part.bytes()) / page * page;
  if (first >= last) return;
  void* memory = reinterpret_cast<void*>(first);
  // A hole in the memory of processes, whoever has it mapped; the memory of threads has no file to punch it into.
  if (madvise(memory, last - first, MADV_REMOVE) != 0) madvise(memory, last - first, MADV_DONTNEED);
}

}  // namespace chorale
