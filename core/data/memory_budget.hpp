// data.memory: how many bytes of a node's memory the data may take.
#pragma once
#include <cstdint>
#include <string>

namespace chorale {

/// Bytes that could still be taken here without swapping: what the kernel calls available, or less inside a limited control group.
std::int64_t available_memory();

/// What all processes of this node may take together, and who says so: the lowest of its control groups' and Slurm's limits.
struct MemoryLimit {
  std::int64_t bytes;
  std::string who;  // empty: there is none
};
MemoryLimit memory_limit();

/// "500MB", "2GB", "1.5GiB", a plain number of bytes, or "auto": half of available_memory(). K, M, G, T are powers of 1000, Ki and so on
/// of 1024. Throws UsageError that says what is allowed.
std::int64_t memory_budget(const std::string& text);

/// "12.5 MB".
std::string bytes_text(std::int64_t bytes);

}  // namespace chorale
