#include <catch2/catch.hpp>

#include <numeric>

#include <unistd.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/core/data/spill.hpp>

using namespace chorale;

namespace {
constexpr std::int64_t kRows = 50, kWidth = 3;

// x [50, 3] and target [50], one after the other: 0, 1, 2 and so on.
std::vector<float> numbers() {
  std::vector<float> all(kRows * (kWidth + 1));
  std::iota(all.begin(), all.end(), 0.0f);
  return all;
}

int file_of(const std::vector<float>& values, std::size_t bytes) {
  const int descriptor = open_spill("");
  REQUIRE(::write(descriptor, values.data(), bytes) == static_cast<ssize_t>(bytes));
  return descriptor;
}

FeatureMatrix in_file(int descriptor) {
  return {.rows = kRows, .features = kWidth, .file = std::make_shared<const RowFile>(descriptor), .target_at = kRows * kWidth * 4};
}
}  // namespace

TEST_CASE("rows of a matrix in a file are those of the matrix in memory") {
  const std::vector<float> values = numbers();
  const int descriptor = file_of(values, values.size() * 4);
  std::vector<std::int64_t> part = {49, 3, 4, 5, 0, 48, 7};  // runs of neighbours, first and last row
  const MatrixDataset file(in_file(descriptor), part);
  ::close(descriptor);
  const MatrixDataset memory({.rows = kRows, .features = kWidth, .x = values.data(), .target = values.data() + kRows * kWidth}, part);
  REQUIRE(file.fields().size() == 2);
  for (const std::vector<std::int64_t>& rows : {std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6}, {3}, {6, 2, 1, 1}, {}}) {
    for (int field = 0; field < 2; ++field) {
      std::vector<float> a(rows.size() * kWidth), b(a.size());
      file.gather(field, rows, a.data());
      memory.gather(field, rows, b.data());
      CHECK(a == b);
    }
  }
}

TEST_CASE("a matrix file that was cut is an I/O error") {
  const int descriptor = file_of(numbers(), 40);
  const MatrixDataset file(in_file(descriptor), std::vector<std::int64_t>{0, 20});
  ::close(descriptor);
  std::vector<float> out(kWidth);
  file.gather(0, std::vector<std::int64_t>{0}, out.data());
  CHECK(out == std::vector<float>{0, 1, 2});
  CHECK_THROWS_AS(file.gather(0, std::vector<std::int64_t>{1}, out.data()), IoError);
}
