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

#include <chorale/core/io/byte_range.hpp>
#include <chorale/core/io/named_tensor.hpp>

namespace chorale {

/// The tensors' bytes are not copied: they must stay as they are for as long as the image is used. One thread.
class SafetensorsImage {
 public:
  /// Throws UsageError when two tensors have one name, or a name is not UTF-8. `metadata` becomes the header's __metadata__.
  explicit SafetensorsImage(std::vector<NamedTensor> tensors, const std::map<std::string, std::string>& metadata = {});

  struct Piece {
    std::uint64_t offset = 0;  // in the file
    std::span<const std::byte> bytes;
  };
  std::uint64_t size() const { return size_; }
  /// All of the file, in order: the header, which lies in this object, then the tensors.
  std::vector<Piece> pieces() const;
  /// The bytes of `range` of the file, at `to`.
  void copy_range(ByteRange range, std::byte* to) const;
  /// Writes the bytes of `range` to their place in an existing or new file and syncs it. Throws IoError.
  void write_range(const std::filesystem::path& path, ByteRange range) const;
  /// Writes the whole file in place and syncs it: for exports. A checkpoint goes through CheckpointWriter.
  void write(const std::filesystem::path& path) const { write_range(path, {0, size_}); }

 private:
  template <class F>
  void each_piece(ByteRange range, F&& take) const;
  std::string header_;          // length, JSON, padding
  std::vector<Piece> tensors_;  // in file order, after the header
  std::uint64_t size_ = 0;
};

}  // namespace chorale
