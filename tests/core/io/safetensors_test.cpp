// The file format that other programs read and write: by its bytes, and by what is refused.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/safetensors_file.hpp>
#include <chorale/core/io/safetensors_image.hpp>

using namespace chorale;

namespace {

struct Scratch {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("chorale_st_" + std::to_string(::getpid()));
  ~Scratch() { std::filesystem::remove(path); }
  void put(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
  std::string bytes() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

/// A file of `header` and `data`, as the format puts them together.
std::string file_of(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + header + data;
}

std::string refusal(const Scratch& file, const std::string& bytes) {
  file.put(bytes);
  try {
    SafetensorsFile(file.path);
  } catch (const CheckpointError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the reference implementation's own example is read") {
  Scratch file;
  file.put(std::string("\x3c\0\0\0\0\0\0\0", 8) + R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})" +
           std::string("\1\0\0\0\2\0\0\0\3\0\0\0\xff\xff\xff\xff", 16));
  const SafetensorsFile read(file.path);
  REQUIRE(read.tensors().size() == 1);
  const NamedTensor& t = read.at("test");
  CHECK(t.dtype == DType::i32);
  CHECK(t.shape == Shape{2, 2});
  const std::int32_t expected[] = {1, 2, 3, -1};
  CHECK(std::memcmp(t.data, expected, sizeof expected) == 0);
}

TEST_CASE("every type, scalars, empty tensors and metadata go to a file and back, aligned") {
  Scratch file;
  const std::vector<std::byte> content(64, std::byte{7});
  std::vector<NamedTensor> tensors;
  for (const DType type : {DType::u8, DType::bf16, DType::f16, DType::i32, DType::f32, DType::i64, DType::f64})
    tensors.push_back({"layer." + std::string(name(type)), type, Shape{3, 1}, content.data()});
  tensors.push_back({"scalar", DType::f32, Shape{}, content.data()});
  tensors.push_back({"nothing", DType::f64, Shape{0, 5}, content.data()});
  tensors.push_back({"quoted \" \\ \xc3\xbc", DType::u8, Shape{1}, content.data()});
  const SafetensorsImage image(tensors, {{"made by", "a test"}});
  image.write(file.path);
  CHECK(std::filesystem::file_size(file.path) == image.size());
  const SafetensorsFile read(file.path);
  CHECK(read.metadata().at("made by") == "a test");
  REQUIRE(read.tensors().size() == tensors.size());
  for (const NamedTensor& t : tensors) {
    CAPTURE(t.name);
    const NamedTensor& found = read.at(t.name);
    CHECK((found.dtype == t.dtype && found.shape == t.shape));
    CHECK(std::ranges::equal(found.content(), t.content()));
    CHECK(reinterpret_cast<std::uintptr_t>(found.data) % size_bytes(t.dtype) == 0);
  }
  CHECK_THROWS_WITH(read.at("layer.f3"), Catch::Contains("nearest") && Catch::Contains("layer.f32"));
}

TEST_CASE("a file written in shares by several ranks has the bytes of one writer") {
  Scratch file;
  std::vector<float> values(700'001);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const SafetensorsImage image({{"w", DType::f32, Shape{700'001}, values.data()}, {"b", DType::f32, Shape{3}, values.data()}});
  image.write(file.path);
  const std::string whole = file.bytes();
  for (const std::int64_t ranks : {2, 3, 8}) {
    std::filesystem::remove(file.path);
    for (std::int64_t r = ranks - 1; r >= 0; --r) image.write_range(file.path, file_share(image.size(), r, ranks));
    CHECK(file.bytes() == whole);
  }
}

TEST_CASE("a file that is not what the format says is refused with what is wrong") {
  Scratch file;
  const std::string four(4, '\0'), eight(8, '\0');
  CHECK_THAT(refusal(file, "short"), Catch::Contains("8 at least"));
  CHECK_THAT(refusal(file, std::string("\xff\xff\xff\xff\0\0\0\0", 8) + "{}"), Catch::Contains("claims"));
  CHECK_THAT(refusal(file, file_of("{nonsense", "")), Catch::Contains("no JSON"));
  CHECK_THAT(refusal(file, file_of("[]", "")), Catch::Contains("no JSON object"));
  CHECK_THAT(
      refusal(
          file,
          file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", four)),
      Catch::Contains("has the key 'a' twice"));
  CHECK_THAT(refusal(file, file_of(R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", four)), Catch::Contains("F31"));
  CHECK_THAT(refusal(file, file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", four)), Catch::Contains("needs 8 bytes"));
  CHECK_THAT(refusal(file, file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "")), Catch::Contains("cut"));
  CHECK_THAT(refusal(file, file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", eight)),
             Catch::Contains("belong to no tensor"));
  CHECK_THAT(refusal(file, file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", eight)), Catch::Contains("hole"));
  CHECK_THAT(refusal(file, file_of(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296,16],"data_offsets":[0,0]}})", "")),
             Catch::Contains("too large"));
  CHECK_THAT(refusal(file, file_of(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", four)), Catch::Contains("counts"));
  CHECK_THROWS_AS(SafetensorsImage({{"a", DType::u8, Shape{1}, four.data()}, {"a", DType::u8, Shape{1}, four.data()}}), UsageError);
}

TEST_CASE("a header of many tensors, some hundred KiB, is read, and one above 16 MB refused") {
  Scratch file;
  std::string header = "{";
  constexpr int kTensors = 4000;
  for (int i = 0; i < kTensors; ++i)
    header += (i ? "," : "") + ("\"layers." + std::to_string(i) + ".weight\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[") +
              std::to_string(4 * i) + "," + std::to_string(4 * i + 4) + "]}";
  header += "}";
  REQUIRE(header.size() > 200'000);
  file.put(file_of(header, std::string(4 * kTensors, '\1')));
  CHECK(SafetensorsFile(file.path).tensors().size() == kTensors);
  const std::string large(std::size_t{16} * 1024 * 1024 + 8, ' ');
  CHECK_THAT(refusal(file, file_of("{" + large + "}", "")), Catch::Contains("limit 16777216"));
}
