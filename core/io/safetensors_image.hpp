// A safetensors file as it will be, without being in memory as a whole: its header and the spans of its tensors.
// Several ranks that hold the same tensors make the same image and write disjoint ranges of the file.
// Source of the format: https://github.com/huggingface/safetensors (README, "Format").
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/io/named_tensor.hpp>

namespace chorale {

/// Bytes [first, last) of a file.
struct ByteRange {
  std::uint64_t first = 0, last = 0;
  std::uint64_t size() const { return last - first; }
};

/// Share `part` of `parts` in a file of `size` bytes, cut at borders of 1 MiB: two clients of a network file system that write parts of one
/// page lose data. Together the shares are the file; some may be empty.
ByteRange file_share(std::uint64_t size, std::int64_t part, std::int64_t parts);

/// The tensors' bytes are not copied: they must stay as they are for as long as the image is used. One thread.
class SafetensorsImage {
 public:
  /// Throws UsageError when two tensors have one name, or a name is not UTF-8. `metadata` becomes the header's __metadata__.
  explicit SafetensorsImage(std::vector<NamedTensor> tensors, const std::map<std::string, std::string>& metadata = {});

  std::uint64_t size() const { return size_; }
  /// xxh3-128 of the file's bytes, computed from memory.
  std::string hash() const;
  /// Writes the bytes of `range` to their place in an existing or new file and syncs it. Throws IoError.
  void write_range(const std::filesystem::path& path, ByteRange range) const;
  /// Writes the whole file in place and syncs it: for exports. A checkpoint goes through CheckpointWriter.
  void write(const std::filesystem::path& path) const { write_range(path, {0, size_}); }

 private:
  struct Piece {
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes;
  };
  std::string header_;          // length, JSON, padding
  std::vector<Piece> tensors_;  // in file order, after the header
  std::uint64_t size_ = 0;
};

}  // namespace chorale
