#include <chorale/core/io/named_tensor.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>

namespace chorale {

static_assert(std::endian::native == std::endian::little, "files and hashes are little-endian; a big-endian host would have to swap");

void sort_by_name(std::vector<NamedTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < tensors.size(); ++i)
    if (tensors[i].name == tensors[i - 1].name) throw UsageError("two tensors are named '" + tensors[i].name + "'; names must differ");
}

std::string tensors_hash(std::vector<NamedTensor> tensors) {
  sort_by_name(tensors);
  ContentHash hash;
  for (const NamedTensor& tensor : tensors) {
    hash.add(std::as_bytes(std::span(tensor.name)));
    hash.add(std::as_bytes(std::span(name(tensor.dtype))));
    const std::int64_t rank = tensor.shape.rank();
    hash.add(std::as_bytes(std::span(&rank, 1)));
    hash.add(std::as_bytes(tensor.shape.dims()));
    hash.add(tensor.content());
  }
  return hash.text();
}

}  // namespace chorale
