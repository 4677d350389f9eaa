#include <chorale/core/io/npy.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/io/array_bytes.hpp>

namespace chorale {

namespace {

constexpr std::string_view kMagicOfNpy = "\x93NUMPY";
constexpr std::size_t kLongestNpyHeader = 1 << 16;  // numpy itself refuses more than 10,000 bytes

struct Header {
  std::optional<std::string> descr;
  std::optional<bool> is_fortran;
  std::optional<std::vector<std::uint64_t>> extents;
};

/// The dictionary that numpy writes, and no more of Python: three keys, each once, in any order.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& path) : text_(text), rest_(text), path_(path) {}

  Header read() {
    Header header;
    expect("{");
    while (!take("}")) {
      read_item(header);
      if (take("}")) break;
      expect(",");
    }
    if (!rest_.empty()) fail("nothing");
    if (!header.descr || !header.is_fortran || !header.extents) fail("'descr', 'fortran_order' and 'shape'");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    throw DataError(path_ + ": in the header of an NPY file " + expected + " was expected at byte " +
                    std::to_string(text_.size() - rest_.size()) + ": " + excerpt(rest_.empty() ? text_ : rest_));
  }
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size())); }
  bool take(std::string_view word) {
    skip_blanks();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    skip_blanks();
    return true;
  }
  void expect(std::string_view word) {
    if (!take(word)) fail("'" + std::string(word) + "'");
  }

  void read_item(Header& header) {
    const std::string key = quoted();
    const bool is_again =
        (key == "descr" && header.descr) || (key == "fortran_order" && header.is_fortran) || (key == "shape" && header.extents);
    if (is_again) fail("'" + key + "' only once; another key");
    expect(":");
    if (key == "descr")
      header.descr = quoted();
    else if (key == "fortran_order")
      header.is_fortran = truth();
    else if (key == "shape")
      header.extents = extents();
    else
      fail("one of the keys 'descr', 'fortran_order' and 'shape'");
  }

  std::string quoted() {
    skip_blanks();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    const std::size_t end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    // A list here is a record of several fields.
    if (end == std::string_view::npos) fail("a text in quotes");
    const std::string out(rest_.substr(1, end - 1));
    if (out.find('\\') != std::string::npos) fail("a text without a backslash");
    rest_.remove_prefix(end + 1);
    skip_blanks();
    return out;
  }

  bool truth() {
    if (take("True")) return true;
    expect("False");
    return false;
  }

  std::vector<std::uint64_t> extents() {
    std::vector<std::uint64_t> out;
    expect("(");
    while (!take(")")) {
      std::uint64_t extent = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
      if (error != std::errc()) fail("an extent");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      out.push_back(extent);
      if (take(")")) {
        if (out.size() == 1) fail("a comma behind a single extent");  // (3) is a number, (3,) a shape
        break;
      }
      expect(",");
    }
    return out;
  }

  std::string_view text_, rest_;
  const std::string& path_;
};

struct Elements {
  StoredType type;
  bool big_endian, is_bool;
};

/// "<f4": byte order, kind, bytes. Anything else, objects (|O), texts and records, is refused.
Elements elements_of(const std::string& descr, const std::string& path) {
  struct Known {
    std::string_view kind;
    StoredType type;
  };
  constexpr Known kKnown[] = {{"b1", StoredType::u8},  {"u1", StoredType::u8},  {"i1", StoredType::i8},  {"u2", StoredType::u16},
                              {"i2", StoredType::i16}, {"u4", StoredType::u32}, {"i4", StoredType::i32}, {"u8", StoredType::u64},
                              {"i8", StoredType::i64}, {"f2", StoredType::f16}, {"f4", StoredType::f32}, {"f8", StoredType::f64}};
  for (const Known& known : kKnown) {
    if (descr.size() != 3 || descr.substr(1) != known.kind) continue;
    const char order = descr[0];
    const bool is_byte = size_bytes(known.type) == 1;
    if (order == '|' && !is_byte) break;
    if (order != '<' && order != '>' && order != '=' && order != '|') break;
    const bool big_endian = order == '>' || (order == '=' && std::endian::native == std::endian::big);
    return {known.type, big_endian, known.kind == "b1"};
  }
  throw DataError(path + ": elements of type " + excerpt(descr, 40) +
                  " are not read; expected are integers, floats and bool, such as '<f4' (objects would run code). Convert them: "
                  "numpy.save(file, array.astype('float32'))");
}

std::string_view header_text(std::string_view bytes, const std::string& path, std::size_t& data_begin) {
  const auto byte_at = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])); };
  const std::size_t version = byte_at(6), width = version == 1 ? 2 : 4, text_begin = 8 + width;
  if (version < 1 || version > 3 || byte_at(7) != 0)
    throw DataError(path + ": has version " + std::to_string(version) + "." + std::to_string(byte_at(7)) +
                    " of the NPY format, this program reads 1.0, 2.0 and 3.0");
  if (bytes.size() < text_begin) throw DataError(path + ": ends inside the length of its header; it was cut");
  std::size_t length = 0;
  for (std::size_t i = width; i-- > 0;) length = length << 8 | byte_at(8 + i);
  if (length > kLongestNpyHeader || length > bytes.size() - text_begin)
    throw DataError(path + ": its header claims " + std::to_string(length) + " bytes, the file has " + std::to_string(bytes.size()) +
                    " (limit " + std::to_string(kLongestNpyHeader) + "); it was cut or is no NPY file");
  data_begin = text_begin + length;
  return bytes.substr(text_begin, length);
}

}  // namespace

bool is_npy(std::string_view bytes) { return bytes.size() >= 8 && bytes.starts_with(kMagicOfNpy); }

ArrayView view_npy(std::string_view bytes, const std::string& path) {
  if (bytes.starts_with("PK\3\4"))
    throw DataError(path +
                    ": is an archive of several arrays (NPZ); unpack it (unzip, or python3 -m zipfile -e) and name the arrays in it");
  if (!is_npy(bytes)) throw DataError(path + ": an NPY file was expected, at byte 0 it begins otherwise; write one with numpy.save");
  std::size_t data_begin = 0;
  const std::string_view text = header_text(bytes, path, data_begin);
  const Header header = HeaderReader(text, path).read();
  const Elements elements = elements_of(*header.descr, path);
  if (*header.is_fortran && header.extents->size() > 1)
    throw DataError(path +
                    ": elements in C order were expected, here they are in Fortran order; convert it: "
                    "numpy.save(file, numpy.ascontiguousarray(array))");
  ArrayView out = view_of(elements.type, *header.extents, bytes, data_begin, elements.big_endian, path);
  const std::size_t other = elements.is_bool ? out.elements.find_first_not_of(std::string_view("\0\1", 2)) : std::string_view::npos;
  if (other != std::string_view::npos)
    throw DataError(path + ": elements of type bool were expected to be 0 or 1, at byte " + std::to_string(data_begin + other) +
                    " is another; it is damaged, write it again");
  return out;
}

StoredArray parse_npy(std::string_view bytes, const std::string& path) { return copy_of(view_npy(bytes, path)); }

}  // namespace chorale
