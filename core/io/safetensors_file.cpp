#include <chorale/core/io/safetensors_file.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/core/io/safetensors_header.hpp>

namespace chorale {

namespace {

std::shared_ptr<const void> map_file(const File& file, std::uint64_t bytes) {
  void* address = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (address == MAP_FAILED) throw_io_error("map", file.path());
  return {address, [bytes](const void* mapped) { ::munmap(const_cast<void*>(mapped), bytes); }};
}

/// The length of the header, checked against the file.
std::uint64_t header_length(const File& file, std::uint64_t bytes) {
  std::uint64_t length = 0;
  if (file.read_at(0, std::as_writable_bytes(std::span(&length, 1))) < sizeof length)
    throw CheckpointError(file.path().string() + ": has " + std::to_string(bytes) +
                          " bytes, a safetensors file has 8 at least; it was cut or is none");
  if (length > std::min(bytes - sizeof length, kLongestHeader))
    throw CheckpointError(file.path().string() + ": its header claims " + std::to_string(length) + " bytes, the file has " +
                          std::to_string(bytes) + " (limit " + std::to_string(kLongestHeader) + "); it was cut or is no safetensors file");
  return length;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) {
  const File file = File::open_read(path);
  const std::uint64_t bytes = file.size(), length = header_length(file, bytes);
  std::string text(length, '\0');
  if (file.read_at(sizeof length, std::as_writable_bytes(std::span(text))) < length)
    throw CheckpointError(path.string() + ": ends inside its header; it was cut");
  const std::uint64_t data_begin = sizeof length + length;
  SafetensorsHeader header = parse_safetensors_header(text, bytes - data_begin, path.string());
  metadata_ = std::move(header.metadata);
  mapping_ = map_file(file, bytes);
  const std::byte* data = static_cast<const std::byte*>(mapping_.get()) + data_begin;
  for (SafetensorsHeader::Entry& entry : header.entries) {
    const void* content = data + entry.begin;
    const std::uint64_t size = entry.end - entry.begin;
    if ((data_begin + entry.begin) % size_bytes(entry.dtype) != 0) {
      std::shared_ptr<std::byte[]> copy(new std::byte[size]);
      std::memcpy(copy.get(), content, size);
      content = copy.get();
      copies_.push_back(std::shared_ptr<const void>(copy, copy.get()));
    }
    ranges_.push_back({data_begin + entry.begin, data_begin + entry.end});
    tensors_.push_back({.name = std::move(entry.name), .dtype = entry.dtype, .shape = entry.shape, .data = content});
  }
}

const NamedTensor* SafetensorsFile::find(std::string_view name) const {
  const auto it =
      std::lower_bound(tensors_.begin(), tensors_.end(), name, [](const NamedTensor& t, std::string_view n) { return t.name < n; });
  return it != tensors_.end() && it->name == name ? &*it : nullptr;
}

const NamedTensor& SafetensorsFile::at(std::string_view name) const {
  if (const NamedTensor* found = find(name)) return *found;
  std::vector<std::string> names;
  for (const NamedTensor& tensor : tensors_) names.push_back(tensor.name);
  const std::string near = nearest_name(name, names);
  throw CheckpointError(path_.string() + ": has no tensor '" + std::string(name) + "'" +
                        (near.empty() ? "" : "; the nearest is '" + near + "'"));
}

}  // namespace chorale
