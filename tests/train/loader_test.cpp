// What the loader makes of fields of any type.
#include <catch2/catch.hpp>

#include <chorale/core/data/array_dataset.hpp>
#include <chorale/train/loader.hpp>

using namespace chorale;

namespace {

template <class T>
std::vector<T> values(const Tensor& t) {
  REQUIRE(t.dtype() == dtype_of<T>);
  return {t.data<T>(), t.data<T>() + t.elements()};
}

const std::vector<std::uint8_t> kPixels = {0, 255, 10, 20, 30, 40};
const std::vector<std::int32_t> kIds = {7, -1, 9};
const std::vector<double> kValues = {0.5, 1.5, 2.5};

ArrayDataset three_rows(std::vector<double> shift, std::vector<double> factor) {
  const auto bytes = [](const auto& all) { return reinterpret_cast<const std::byte*>(all.data()); };
  return ArrayDataset(
      {{{.name = "x", .dtype = DType::u8, .row_shape = {1, 2}, .shift = std::move(shift), .factor = std::move(factor)}, bytes(kPixels)},
       {{.name = "ids", .dtype = DType::i32, .use = Field::Use::index}, bytes(kIds)},
       {{.name = "classes", .dtype = DType::i32}, bytes(kIds)},
       {{.name = "target", .dtype = DType::f64}, bytes(kValues)}},
      {0, 1, 2}, nullptr);
}

}  // namespace

TEST_CASE("numbers of any type are loaded scaled in the model's type, ids as they are") {
  const auto device = make_cpu_device();
  const ArrayDataset data = three_rows({0, 10}, {1, 0.5});
  const std::vector<std::int64_t> rows = {2, 0};
  const Values f32 = Loader(data, *device, DType::f32).load(rows);
  CHECK(f32.at("x").shape() == Shape{2, 1, 2});
  CHECK(values<float>(f32.at("x").value()) == std::vector<float>{30, 15, 0, 122.5f});
  CHECK(values<std::int32_t>(f32.at("ids").value()) == std::vector<std::int32_t>{9, 7});
  CHECK(values<float>(f32.at("classes").value()) == std::vector<float>{9, 7});
  CHECK(values<float>(f32.at("target").value()) == std::vector<float>{2.5f, 0.5f});
  const Values f64 = Loader(data, *device, DType::f64).load(rows);
  CHECK(values<double>(f64.at("x").value()) == std::vector<double>{30, 15, 0, 122.5});
  CHECK(values<double>(f64.at("target").value()) == std::vector<double>{2.5, 0.5});
}

TEST_CASE("one scale is every place's, none leaves numbers as they are, and only fields that were asked for are loaded") {
  const auto device = make_cpu_device();
  const std::vector<std::int64_t> rows = {1};
  const std::vector<std::string> only = {"x"};
  const ArrayDataset scaled = three_rows({0}, {1.0 / 255}), plain = three_rows({}, {});
  CHECK(values<float>(Loader(scaled, *device, DType::f32).load(rows, only).at("x").value()) ==
        std::vector<float>{10 * float(1.0 / 255), 20 * float(1.0 / 255)});
  const Values loaded = Loader(plain, *device, DType::f32).load(rows, only);
  CHECK(values<float>(loaded.at("x").value()) == std::vector<float>{10, 20});
  CHECK(!loaded.find("target"));
}
