#include <chorale/launcher/weight_file.hpp>

#include <catch2/catch.hpp>

#include <fstream>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/safetensors_image.hpp>
#include <chorale/tests/train/folder.hpp>

using namespace chorale;

TEST_CASE("names of a file of weights become those of the model by the first rule that means them") {
  const NameMap map({"features.*=0.*", "head.weight=5.weight", "*.bias=other.*.bias"});
  CHECK(map("features.3.weight") == "0.3.weight");
  CHECK(map("features.bias") == "0.bias");
  CHECK(map("head.weight") == "5.weight");
  CHECK(map("head.bias") == "other.head.bias");
  CHECK(map("head.scale") == "head.scale");
  for (const char* word : {"a", "=b", "a=", "a.*=b", "a.*.*=b.*.*"})
    CHECK_THROWS_WITH(NameMap({word}), Catch::Contains("refused: write NAME=NAME"));
  CHECK_THROWS_WITH(map.require_use({"features.0", "x"}),
                    Catch::Contains("'head.weight' means no tensor of the file, which has features.0, x"));
}

TEST_CASE("whole numbers and doubles of a file of weights become the model's type, and two tensors of one name are refused") {
  Folder folder;
  std::filesystem::create_directories(folder.path);
  const float w[2] = {1.5f, -2};
  const double b = 0.25;
  const std::int64_t batches = 7;
  const std::uint16_t half = 0;
  const auto path = folder.path / "torch.safetensors";
  const SafetensorsImage image({{"a.w", DType::f32, {2}, w},
                                {"a.b", DType::f64, {1}, &b},
                                {"a.n", DType::i64, Shape{}, &batches},
                                {"a.h", DType::bf16, {1}, &half}});
  image.write(path);
  const WeightFile file(path, NameMap({"a.*=1.*"}), DType::f32);
  REQUIRE(file.tensors().size() == 4);
  CHECK(file.tensors()[0].name == "1.b");
  CHECK(*static_cast<const float*>(file.tensors()[0].data) == 0.25f);
  CHECK(file.tensors()[1].dtype == DType::bf16);  // refused by whoever wants f32
  CHECK(file.tensors()[2].dtype == DType::f32);
  CHECK(*static_cast<const float*>(file.tensors()[2].data) == 7);
  CHECK(*static_cast<const float*>(file.tensors()[3].data) == 1.5f);
  CHECK_THROWS_WITH(WeightFile(path, NameMap({"a.w=x", "a.b=x"}), DType::f32), Catch::Contains("x"));
}
