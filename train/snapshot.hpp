// A rank's share of the files of a checkpoint, copied at a step boundary into memory that was taken at the start: training goes on while
// the copy is written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <chorale/core/io/safetensors_image.hpp>

namespace chorale {

struct SaveFile {
  std::string name;
  SafetensorsImage image;
};
using SaveFiles = std::vector<SaveFile>;

/// One thread; written files may be read from another one.
class Snapshot {
 public:
  /// Bytes that share `part` of `parts` of the files takes.
  static std::uint64_t bytes_for(const SaveFiles& files, int part, int parts);
  /// Takes memory and touches it, so that a copy meets no page that is not there yet. False when there is none to be had.
  bool reserve(std::uint64_t bytes);
  std::uint64_t bytes() const { return bytes_; }
  /// Copies the share. False when it is larger than what was reserved; nothing is copied then.
  bool take(const SaveFiles& files, int part, int parts);
  /// Of what was taken: bytes of file `f`.
  std::span<const std::byte> piece(std::size_t f, ByteRange range) const;

 private:
  std::unique_ptr<std::byte, void (*)(std::byte*)> memory_{nullptr, [](std::byte*) {}};
  std::uint64_t bytes_ = 0;
  struct Place {
    std::uint64_t at = 0, first = 0;  // where in memory, which byte of the file
  };
  std::vector<Place> places_;
};

}  // namespace chorale
