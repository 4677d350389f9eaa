// Reading safetensors, mapped: tensors are views into the file. Every claim of the header is checked before a byte is believed.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/io/byte_range.hpp>
#include <chorale/core/io/named_tensor.hpp>

namespace chorale {

/// Read-only after opening, so any thread may look. Copies share the mapping.
class SafetensorsFile {
 public:
  /// Throws IoError when the file cannot be read and CheckpointError, with both values, when it is not what the format says:
  /// cut, foreign, unknown type, offsets that overlap, leave holes or do not match the shape. Needs one pass over the header only.
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// In order of their names. The data live as long as this object or a copy of it.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  /// nullptr when there is none of that name.
  const NamedTensor* find(std::string_view name) const;
  /// Throws CheckpointError with the nearest name.
  const NamedTensor& at(std::string_view name) const;
  /// Where one of tensors() lies in the file.
  ByteRange range_of(const NamedTensor& tensor) const { return ranges_[static_cast<std::size_t>(&tensor - tensors_.data())]; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::shared_ptr<const void> mapping_;
  std::vector<std::shared_ptr<const void>> copies_;  // of tensors that other programs have left unaligned
  std::vector<NamedTensor> tensors_;
  std::vector<ByteRange> ranges_;  // of each tensor
  std::map<std::string, std::string> metadata_;
};

}  // namespace chorale
