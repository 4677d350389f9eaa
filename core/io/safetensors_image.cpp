#include <chorale/core/io/safetensors_image.hpp>

#include <algorithm>
#include <cctype>
#include <cstring>

#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

namespace {

std::string format_name(DType type) {
  std::string out(name(type));
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

/// Length (8 bytes) and JSON, padded with spaces so that the tensors begin at a multiple of 8.
std::string header_bytes(const nlohmann::json& header) {
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw UsageError("[safetensors] a tensor's name or a piece of metadata is not UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::string out(sizeof length, '\0');
  std::memcpy(out.data(), &length, sizeof length);
  return out + text;
}

}  // namespace

ByteRange file_share(std::uint64_t size, std::int64_t part, std::int64_t parts) {
  constexpr std::uint64_t kBorder = 1 << 20;
  const std::uint64_t blocks = (size + kBorder - 1) / kBorder;
  const auto p = static_cast<std::uint64_t>(part), n = static_cast<std::uint64_t>(parts);
  return {std::min(size, blocks * p / n * kBorder), std::min(size, blocks * (p + 1) / n * kBorder)};
}

SafetensorsImage::SafetensorsImage(std::vector<NamedTensor> tensors, const std::map<std::string, std::string>& metadata) {
  sort_by_name(tensors);
  // Wide types first, for the format has no room for padding between tensors: so each one is aligned when the file is mapped.
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const NamedTensor& a, const NamedTensor& b) { return size_bytes(a.dtype) > size_bytes(b.dtype); });
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t end = 0;
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == "__metadata__") throw UsageError("[safetensors] no tensor may be named '__metadata__'");
    const std::uint64_t begin = end;
    end += tensor.bytes();
    header[tensor.name] = {{"dtype", format_name(tensor.dtype)}, {"shape", tensor.shape.dims()}, {"data_offsets", {begin, end}}};
  }
  header_ = header_bytes(header);
  size_ = header_.size();
  for (const NamedTensor& tensor : tensors) {
    tensors_.push_back({size_, tensor.content()});
    size_ += tensor.bytes();
  }
}

std::vector<SafetensorsImage::Piece> SafetensorsImage::pieces() const {
  std::vector<Piece> out = {{0, std::as_bytes(std::span(header_))}};
  out.insert(out.end(), tensors_.begin(), tensors_.end());
  return out;
}

template <class F>
void SafetensorsImage::each_piece(ByteRange range, F&& take) const {
  const auto common = [&](std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::uint64_t first = std::max(range.first, offset), last = std::min(range.last, offset + bytes.size());
    if (first < last) take(first, bytes.subspan(first - offset, last - first));
  };
  common(0, std::as_bytes(std::span(header_)));
  const auto ends_after = [](std::uint64_t at, const Piece& piece) { return at < piece.offset + piece.bytes.size(); };
  auto piece = std::upper_bound(tensors_.begin(), tensors_.end(), range.first, ends_after);
  for (; piece != tensors_.end() && piece->offset < range.last; ++piece) common(piece->offset, piece->bytes);
}

void SafetensorsImage::copy_range(ByteRange range, std::byte* to) const {
  each_piece(range, [&](std::uint64_t offset, std::span<const std::byte> bytes) {
    std::memcpy(to + (offset - range.first), bytes.data(), bytes.size());
  });
}

void SafetensorsImage::write_range(const std::filesystem::path& path, ByteRange range) const {
  File file = File::open_write(path);
  each_piece(range, [&](std::uint64_t offset, std::span<const std::byte> bytes) { file.write_at(offset, bytes); });
  file.sync();
  file.close();
}

}  // namespace chorale
