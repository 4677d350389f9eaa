// Vectors in fewer bytes, and vectors that tell less.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/random.hpp>
#include <chorale/train/collab/entity_sums.hpp>

using namespace chorale;

TEST_CASE("rows that travel in fewer bytes are as near as their form allows, and rounding again changes nothing in bf16") {
  RandomStream random(5);
  for (const std::int64_t width : {1, 2, 3, 8, 11}) {
    std::vector<float> row;
    for (std::int64_t j = 0; j < width; ++j) row.push_back(static_cast<float>(10 * random.normal()));
    float most = 0;
    for (const float v : row) most = std::max(most, std::fabs(v));
    CHECK(row_words(RowWire::f32, width) == width);
    CHECK(row_words(RowWire::bf16, width) == (width + 1) / 2);
    CHECK(row_words(RowWire::int8, width) == 1 + (width + 3) / 4);
    for (const RowWire wire : {RowWire::f32, RowWire::bf16, RowWire::int8}) {
      std::vector<float> rounded = row;
      round_row(wire, rounded);
      for (std::size_t j = 0; j < row.size(); ++j) {
        const float bound = wire == RowWire::f32 ? 0 : wire == RowWire::bf16 ? std::fabs(row[j]) / 256 : most / 254 * 1.0001f;
        CHECK(std::fabs(rounded[j] - row[j]) <= bound);
      }
      std::vector<float> again = rounded;
      if (wire != RowWire::int8) round_row(wire, again);
      CHECK(std::memcmp(again.data(), rounded.data(), row.size() * sizeof(float)) == 0);
    }
  }
  std::vector<float> zeros(5, 0.0f);
  round_row(RowWire::int8, zeros);
  for (const float v : zeros) CHECK(v == 0);
  std::vector<float> tie = {1 + 1.0f / 256, 1 + 3.0f / 256};  // half way: to the even neighbour
  round_row(RowWire::bf16, tie);
  CHECK(tie == std::vector<float>{1, 1 + 4.0f / 256});
  CHECK(parse_row_wire("int8") == RowWire::int8);
  CHECK_THROWS_WITH(parse_row_wire("f16"), Catch::Contains("f32, bf16 or int8, not as 'f16'"));
}

TEST_CASE("a published vector is cut to its length and gets noise of the deviation that is asked for, by key alone") {
  constexpr std::int64_t kWidth = 4;
  const auto vectors = [&](double clip, double noise, std::uint64_t key, bool backwards) {
    EntitySums sums(kWidth);
    for (int i = 0; i < 2000; ++i) {
      const int entity = backwards ? 1999 - i : i;
      const float vector[] = {3, 0, 4, 0}, small[] = {0, 0.3f, 0, 0.4f};
      for (int times = 0; times < 3; ++times) sums.add(entity, 7, entity % 2 ? vector : small);
    }
    sums.bound(clip, noise, key);
    std::vector<float> out(2000 * kWidth);
    const std::vector<std::int32_t> words = sums.packed();
    for (std::size_t at = 0; at < words.size(); at += 3 + kWidth) {
      float sum[kWidth];
      std::memcpy(sum, &words[at + 3], sizeof sum);
      for (std::size_t j = 0; j < kWidth; ++j) out[static_cast<std::size_t>(words[at]) * kWidth + j] = sum[j] / 3;
    }
    return out;
  };
  const std::vector<float> cut = vectors(1, 0, 1, false);
  CHECK(cut[kWidth] == Approx(0.6));
  CHECK(cut[kWidth + 2] == Approx(0.8));
  CHECK(cut[1] == Approx(0.3));  // shorter: as it was
  const std::vector<float> noisy = vectors(2, 0.5, 1, false);
  CHECK(noisy == vectors(2, 0.5, 1, true));
  CHECK(noisy != vectors(2, 0.5, 2, false));
  const std::vector<float> clean = vectors(2, 0, 1, false);
  double mean = 0, square = 0;
  const auto n = static_cast<double>(noisy.size());
  for (std::size_t i = 0; i < noisy.size(); ++i) mean += (noisy[i] - clean[i]) / n, square += std::pow(noisy[i] - clean[i], 2) / n;
  CHECK(std::fabs(mean) < 5 / std::sqrt(n));
  CHECK(std::sqrt(square) == Approx(1).epsilon(0.05));  // 0.5 of 2
  CHECK(vectors(0, 0, 1, false)[kWidth] == Approx(3));
}
