// IDX and NPY files by their bytes, as other programs write them.
#include <catch2/catch.hpp>

#include <unistd.h>
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/idx.hpp>
#include <chorale/core/io/npy.hpp>

using namespace chorale;
using namespace std::string_literals;

namespace {

template <class T>
std::vector<T> values(const StoredArray& array) {
  REQUIRE(array.bytes.size() == static_cast<std::size_t>(array.shape.elements()) * size_bytes(array.type));
  REQUIRE(size_bytes(array.type) == sizeof(T));
  std::vector<T> out(static_cast<std::size_t>(array.shape.elements()));
  if (!out.empty()) std::memcpy(out.data(), array.bytes.data(), array.bytes.size());
  return out;
}

/// As numpy.save pads it: the header ends with a line break at a multiple of 64 bytes.
std::string npy(const std::string& dictionary, const std::string& data, char version = 1) {
  const std::size_t width = version == 1 ? 2 : 4;
  std::string header = dictionary;
  header.resize((8 + width + header.size() + 1 + 63) / 64 * 64 - 8 - width - 1, ' ');
  header += '\n';
  std::string out = "\x93NUMPY"s + version + '\0';
  for (std::size_t i = 0; i < width; ++i) out += static_cast<char>(header.size() >> (8 * i) & 255);
  return out + header + data;
}

std::string dictionary(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

std::string refusal_of_npy(const std::string& bytes) {
  try {
    parse_npy(bytes, "f");
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

std::string refusal_of_idx(const std::string& bytes) {
  try {
    parse_idx(bytes, "f");
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

struct Scratch {
  std::string path = (std::filesystem::temp_directory_path() / ("chorale_array_" + std::to_string(::getpid()))).string();
  ~Scratch() { std::filesystem::remove(path); }
};

const std::string kMatrix = "\0\0\x08\x02\0\0\0\x02\0\0\0\x03\1\2\3\4\5\xff"s;  // u8 [2, 3]

}  // namespace

TEST_CASE("IDX elements of every type come in this machine's order") {
  const StoredArray matrix = parse_idx(kMatrix, "f");
  CHECK(matrix.type == StoredType::u8);
  CHECK(matrix.shape == Shape{2, 3});
  CHECK(values<std::uint8_t>(matrix) == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 255});
  CHECK(values<std::int8_t>(parse_idx("\0\0\x09\1\0\0\0\2\xff\x7f"s, "f")) == std::vector<std::int8_t>{-1, 127});
  CHECK(values<std::int16_t>(parse_idx("\0\0\x0b\1\0\0\0\2\x01\x02\xff\xfe"s, "f")) == std::vector<std::int16_t>{258, -2});
  CHECK(values<std::int32_t>(parse_idx("\0\0\x0c\1\0\0\0\1\x01\x02\x03\x04"s, "f")) == std::vector<std::int32_t>{0x01020304});
  CHECK(values<float>(parse_idx("\0\0\x0d\1\0\0\0\2\x3f\x80\0\0\xc0\0\0\0"s, "f")) == std::vector<float>{1, -2});
  CHECK(values<double>(parse_idx("\0\0\x0e\1\0\0\0\1\x3f\xf8\0\0\0\0\0\0"s, "f")) == std::vector<double>{1.5});
  CHECK(parse_idx("\0\0\x08\2\0\0\0\0\0\0\0\x1c"s, "f").shape == Shape{0, 28});
}

TEST_CASE("what is no IDX file is refused with what is wrong") {
  CHECK_THAT(refusal_of_idx(""), Catch::StartsWith("f: an IDX file was expected"));
  CHECK_THAT(refusal_of_idx("\0\1\x08\1\0\0\0\0"s), Catch::Contains("an IDX file was expected"));
  CHECK_THAT(refusal_of_idx("\0\0\x0a\1\0\0\0\0"s), Catch::Contains("an IDX file was expected"));
  CHECK_THAT(refusal_of_idx("\0\0\x08\3\0\0\0\1\0\0\0\1"s), Catch::Contains("3 extents were expected") && Catch::Contains("it was cut"));
  CHECK_THAT(refusal_of_idx(kMatrix.substr(0, kMatrix.size() - 1)),
             Catch::Contains("6 bytes were expected") && Catch::Contains("here are 5; the file was cut"));
  CHECK_THAT(refusal_of_idx(kMatrix + "x"), Catch::Contains("here are 7; something follows"));
  CHECK_THAT(refusal_of_idx("\0\0\x0e\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"s), Catch::Contains("too large"));
  CHECK_THAT(refusal_of_idx("\0\0\x0e\3\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"s), Catch::Contains("too large"));
  CHECK_THAT(refusal_of_idx("\0\0\x08\7"s + std::string(28, '\1')), Catch::Contains("at most 6 dimensions"));
}

TEST_CASE("NPY elements of every type and either byte order come in this machine's order") {
  const StoredArray floats = parse_npy(npy(dictionary("<f4", "(2, 1)"), "\0\0\x80\x3f\0\0\0\xc0"s), "f");
  CHECK(floats.type == StoredType::f32);
  CHECK(floats.shape == Shape{2, 1});
  CHECK(values<float>(floats) == std::vector<float>{1, -2});
  CHECK(values<float>(parse_npy(npy(dictionary(">f4", "(2,)"), "\x3f\x80\0\0\xc0\0\0\0"s), "f")) == std::vector<float>{1, -2});
  CHECK(values<double>(parse_npy(npy(dictionary(">f8", "(1,)"), "\x3f\xf8\0\0\0\0\0\0"s), "f")) == std::vector<double>{1.5});
  CHECK(values<std::int64_t>(parse_npy(npy(dictionary("<i8", "()"), "\xfe\xff\xff\xff\xff\xff\xff\xff"s), "f")) ==
        std::vector<std::int64_t>{-2});
  CHECK(values<std::uint16_t>(parse_npy(npy(dictionary(">u2", "(2,)"), "\1\2\xff\xfe"s), "f")) == std::vector<std::uint16_t>{258, 65534});
  CHECK(values<std::uint8_t>(parse_npy(npy(dictionary("|b1", "(3,)"), "\0\1\1"s), "f")) == std::vector<std::uint8_t>{0, 1, 1});
  CHECK(values<std::int8_t>(parse_npy(npy(dictionary("|i1", "(1, 2)"), "\xff\x7f"s), "f")) == std::vector<std::int8_t>{-1, 127});
  CHECK(parse_npy(npy(dictionary("<f2", "(1,)"), "\0\x3c"s), "f").type == StoredType::f16);
  CHECK(parse_npy(npy(dictionary("<f4", "(0, 5)"), ""), "f").shape == Shape{0, 5});
  CHECK(parse_npy(npy(dictionary("<i4", "(1,)", "True"), "\7\0\0\0"s), "f").shape == Shape{1});  // one dimension has one order
}

TEST_CASE("NPY headers of all versions, in any order of keys, with and without the last comma are read") {
  for (const char version : {'\1', '\2', '\3'}) CHECK(parse_npy(npy(dictionary("|u1", "(1,)"), "\7", version), "f").bytes.size() == 1);
  CHECK(parse_npy(npy("{ \"shape\":(1 , ),'fortran_order':False , 'descr':'|u1'}", "\7"), "f").shape == Shape{1});
}

TEST_CASE("what is no NPY file of numbers is refused with what is wrong") {
  const std::string good = dictionary("<f4", "(1,)"), four(4, '\0');
  CHECK(refusal_of_npy(npy(good, four)).empty());
  CHECK_THAT(refusal_of_npy(""), Catch::StartsWith("f: an NPY file was expected"));
  CHECK_THAT(refusal_of_npy("PK\3\4 and so on"), Catch::Contains("unpack it"));
  CHECK_THAT(refusal_of_npy(npy(good, four, 4)), Catch::Contains("has version 4.0"));
  CHECK_THAT(refusal_of_npy("\x93NUMPY\1\0\xff"s), Catch::Contains("inside the length"));
  CHECK_THAT(refusal_of_npy("\x93NUMPY\1\0\xff\xff{}"s), Catch::Contains("claims 65535 bytes"));
  CHECK_THAT(refusal_of_npy("\x93NUMPY\2\0\xff\xff\xff\xff{}"s), Catch::Contains("claims 4294967295 bytes"));
  CHECK_THAT(refusal_of_npy(npy(good, four + "x")), Catch::Contains("something follows"));
  CHECK_THAT(refusal_of_npy(npy(good, "abc")), Catch::Contains("it was cut") || Catch::Contains("the file was cut"));
  CHECK_THAT(refusal_of_npy(npy(dictionary("|O", "(1,)"), four)), Catch::Contains("objects would run code"));
  for (const char* descr : {"<f16", "<c8", "<U4", "|f4", "f4", "", "<f4 ", "!f4"})
    CHECK_THAT(refusal_of_npy(npy(dictionary(descr, "(1,)"), four)), Catch::Contains("are not read"));
  CHECK_THAT(refusal_of_npy(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", four)),
             Catch::Contains("a text in quotes was expected"));
  CHECK_THAT(refusal_of_npy(npy(dictionary("<f4", "(1, 1)", "True"), four)), Catch::Contains("Fortran order"));
  CHECK_THAT(refusal_of_npy(npy(dictionary("|b1", "(1,)"), "\2")), Catch::Contains("0 or 1"));
  CHECK_THAT(refusal_of_npy(npy(dictionary("<f8", "(4294967296, 4294967296)"), "")), Catch::Contains("too large"));
  CHECK_THAT(refusal_of_npy(npy(dictionary("<f8", "(18446744073709551615, 0)"), "")), Catch::Contains("too large"));
  CHECK_THAT(refusal_of_npy(npy(dictionary("<f4", "(1, 1, 1, 1, 1, 1, 1)"), four)), Catch::Contains("at most 6 dimensions"));
  for (const char* shape : {"(-1,)", "(1)", "(1", "1", "(,)", "(1.0,)", "(99999999999999999999,)", "[1]", "(1,,)"})
    CHECK_THAT(refusal_of_npy(npy(dictionary("<f4", shape), four)), Catch::Contains("in the header of an NPY file"));
  CHECK_THAT(refusal_of_npy(npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", four)), Catch::Contains("once"));
  CHECK_THAT(refusal_of_npy(npy("{'descr': '<f4', 'fortran_order': False}", four)), Catch::Contains("'shape'"));
  CHECK_THAT(refusal_of_npy(npy(good + "x", four)), Catch::Contains("nothing was expected"));
  CHECK_THAT(refusal_of_npy(npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}", four)), Catch::Contains("in quotes"));
}

TEST_CASE("arrays are told apart by their first bytes, packed or not") {
  const Scratch file;
  std::ofstream(file.path, std::ios::binary) << kMatrix;
  CHECK(read_array(file.path).shape == Shape{2, 3});
  const gzFile packed = ::gzopen(file.path.c_str(), "wb");
  REQUIRE(packed);
  REQUIRE(::gzwrite(packed, kMatrix.data(), static_cast<unsigned>(kMatrix.size())) == static_cast<int>(kMatrix.size()));
  REQUIRE(::gzclose(packed) == Z_OK);
  CHECK(values<std::uint8_t>(read_array(file.path)) == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 255});
  std::ofstream(file.path, std::ios::binary) << npy(dictionary("|u1", "(1,)"), "\7");
  CHECK(read_array(file.path).shape == Shape{1});
  std::ofstream(file.path, std::ios::binary) << "a,b\n1,2\n";
  CHECK_THROWS_WITH(read_array(file.path), Catch::Contains("an IDX or NPY file was expected"));
  CHECK_THROWS_AS(read_array("/nowhere/at/all"), DataError);
}

TEST_CASE("elements of a part of a file are read as numbers, whatever their type and order") {
  const auto numbers = [](const ArrayView& view, std::int64_t first, std::size_t count) {
    std::vector<double> out(count);
    read_elements(view, first, std::span(out));
    return out;
  };
  const std::string halves =
      npy(dictionary("<f2", "(6,)"), "\0\x3c\0\xc0\1\0\0\x7c\xff\x7b\1\x7c"s);  // 1, -2, the smallest, inf, the largest, NaN
  const std::vector<double> read = numbers(view_npy(halves, "f"), 0, 6);
  CHECK(std::vector<double>(read.begin(), read.begin() + 5) == std::vector<double>{1, -2, 0x1p-24, HUGE_VAL, 65504});
  CHECK(std::isnan(read[5]));
  CHECK(numbers(view_idx("\0\0\x0b\1\0\0\0\2\x01\x02\xff\xfe"s, "f"), 1, 1) == std::vector<double>{-2});
  const ArrayView matrix = view_idx(kMatrix, "f");
  CHECK(matrix.offset == 12);
  CHECK(numbers(matrix, 4, 2) == std::vector<double>{5, 255});
  std::vector<std::int64_t> whole(2);
  const std::string longs = npy(dictionary(">i8", "(2,)"), "\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\0\0\0\0\7"s);
  read_elements(view_npy(longs, "f"), 0, std::span(whole));
  CHECK(whole == std::vector<std::int64_t>{-2, 7});
  CHECK(is_whole(StoredType::u8));
  CHECK(!is_whole(StoredType::f16));
}
