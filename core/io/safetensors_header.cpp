#include <chorale/core/io/safetensors_header.hpp>

#include <algorithm>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/io/strict_json.hpp>

namespace chorale {

namespace {

using Json = nlohmann::json;
using Entry = SafetensorsHeader::Entry;

class EntryReader {
 public:
  EntryReader(const std::string& path, const std::string& tensor_name) : where_(path + ": tensor '" + excerpt(tensor_name) + "'") {}

  Entry read(const std::string& tensor_name, const Json& fields) const {
    if (!fields.is_object() || !fields.contains("dtype") || !fields.contains("shape") || !fields.contains("data_offsets"))
      fail("lacks dtype, shape or data_offsets");
    Entry entry{.name = tensor_name, .dtype = dtype(fields["dtype"]), .shape = shape(fields["shape"])};
    const std::vector<std::uint64_t> offsets = numbers(fields["data_offsets"], "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      fail("has data_offsets " + excerpt_of(fields["data_offsets"]) + ", no begin and end");
    entry.begin = offsets[0];
    entry.end = offsets[1];
    std::uint64_t bytes = size_bytes(entry.dtype);
    for (const std::int64_t extent : entry.shape.dims())
      if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes))
        fail("has shape " + entry.shape.text() + ", too large");
    if (entry.end - entry.begin != bytes)
      fail("of shape " + entry.shape.text() + " and type " + std::string(name(entry.dtype)) + " needs " + std::to_string(bytes) +
           " bytes, its data_offsets give " + std::to_string(entry.end - entry.begin));
    return entry;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw CheckpointError(where_ + " " + what); }

  DType dtype(const Json& text) const {
    if (!text.is_string()) fail("has dtype " + excerpt_of(text) + ", no text");
    try {
      return parse_dtype(text.get_ref<const std::string&>());
    } catch (const UsageError& error) {
      fail(std::string("cannot be read: ") + excerpt(error.what(), 200));
    }
  }

  std::vector<std::uint64_t> numbers(const Json& list, const char* what) const {
    if (!list.is_array()) fail(std::string("has ") + what + " " + excerpt_of(list) + ", no list");
    std::vector<std::uint64_t> out;
    for (const Json& number : list) {
      if (!number.is_number_unsigned()) fail(std::string("has ") + what + " " + excerpt_of(list) + ", not all of them counts");
      out.push_back(number.get<std::uint64_t>());
    }
    return out;
  }

  Shape shape(const Json& list) const {
    std::vector<std::int64_t> dims;
    for (const std::uint64_t extent : numbers(list, "shape")) {
      if (extent > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail("has shape " + excerpt_of(list) + ", too large");
      dims.push_back(static_cast<std::int64_t>(extent));
    }
    if (dims.size() > Shape::kMaxRank) fail("has " + std::to_string(dims.size()) + " dimensions, at most 6 can be read");
    return Shape(dims);
  }

  std::string where_;
};

/// The format knows no gaps: each tensor begins where the one before it ends, the last ends with the file.
void check_cover(std::vector<Entry> entries, std::uint64_t data_bytes, const std::string& path) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t end = 0;
  std::string before = "the header";
  for (const Entry& entry : entries) {
    if (entry.end > data_bytes)
      throw CheckpointError(path + ": tensor '" + excerpt(entry.name) + "' ends at byte " + std::to_string(entry.end) +
                            " of the data, the file has only " + std::to_string(data_bytes) + ": it was cut or its header is damaged");
    if (entry.begin != end)
      throw CheckpointError(path + ": tensor '" + excerpt(entry.name) + "' begins at byte " + std::to_string(entry.begin) +
                            " of the data, but " + before + " ends at " + std::to_string(end) +
                            (entry.begin < end ? ": they overlap" : ": there is a hole"));
    end = entry.end;
    before = "tensor '" + excerpt(entry.name) + "'";
  }
  if (end != data_bytes)
    throw CheckpointError(path + ": " + std::to_string(data_bytes - end) + " bytes after " + before + " belong to no tensor");
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes, const std::string& path) {
  SafetensorsHeader header;
  const Json parsed = parse_json_object(text, path + ": the safetensors header");
  for (const auto& [tensor_name, fields] : parsed.items()) {
    if (tensor_name != "__metadata__") {
      header.entries.push_back(EntryReader(path, tensor_name).read(tensor_name, fields));
      continue;
    }
    if (!fields.is_object()) throw CheckpointError(path + ": __metadata__ is no JSON object, but a " + fields.type_name());
    for (const auto& [key, value] : fields.items()) {
      if (!value.is_string()) throw CheckpointError(path + ": __metadata__ '" + excerpt(key) + "' is no text, but a " + value.type_name());
      header.metadata.emplace(key, value.get<std::string>());
    }
  }
  check_cover(header.entries, data_bytes, path);
  return header;
}

}  // namespace chorale
