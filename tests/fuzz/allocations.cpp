// An input of some KiB must not make a reader ask for much memory at once: sizes are checked first.
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t kMost = 64 << 20;  // above what any reader needs whatever its input: unpacking takes 1 MiB, a CSV piece a few

void* allocate(std::size_t bytes) {
  if (bytes > kMost) {
    std::fprintf(stderr, "fuzz: one allocation of %zu bytes\n", bytes);
    std::abort();
  }
  return std::malloc(bytes == 0 ? 1 : bytes);
}

void* allocate_or_throw(std::size_t bytes) {
  if (void* memory = allocate(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return allocate_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
