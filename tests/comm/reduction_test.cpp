#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <chorale/comm/reduction.hpp>
#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

std::vector<TreeLeaf> leaves_of(const std::vector<std::vector<float>>& ranks) {
  std::vector<TreeLeaf> out;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const int rank = static_cast<int>(r);
    out.push_back({{rank, rank + 1}, reinterpret_cast<const std::byte*>(ranks[r].data())});
  }
  return out;
}

std::byte* bytes(std::vector<float>& values) { return reinterpret_cast<std::byte*>(values.data()); }

}  // namespace

TEST_CASE("a sum in the tree differs from a sum in a row where rounding shows", "[comm]") {
  // (1 + 2^-24) + (2^-24 + 2^-24) keeps the small terms that a running sum drops one by one.
  const float small = std::ldexp(1.0f, -24);
  const std::vector<std::vector<float>> ranks = {{1.0f}, {small}, {small}, {small}};
  std::vector<float> out(1);
  reduce_tree({DType::f32, Reduce::sum, {0, 4}}, leaves_of(ranks), bytes(out), 1);
  CHECK(out[0] == (1.0f + small) + (small + small));
  CHECK(out[0] != ((1.0f + small) + small) + small);
}

TEST_CASE("partial sums of any cut give the bits of the whole tree", "[comm]") {
  constexpr int kRanks = 7;
  constexpr std::int64_t kElements = 5000;  // more than one block
  std::vector<std::vector<float>> ranks(kRanks, std::vector<float>(kElements));
  for (int r = 0; r < kRanks; ++r)
    for (std::size_t i = 0; i < ranks[static_cast<std::size_t>(r)].size(); ++i)
      ranks[static_cast<std::size_t>(r)][i] = std::sin(static_cast<float>(r * 5000) + static_cast<float>(i));
  const std::vector<TreeLeaf> leaves = leaves_of(ranks);
  std::vector<float> whole(kElements);
  reduce_tree({DType::f32, Reduce::sum, {0, kRanks}}, leaves, bytes(whole), kElements);
  for (int cut = 1; cut < kRanks; ++cut) {
    std::vector<std::vector<float>> partials;
    std::vector<TreeLeaf> nodes;
    partials.reserve(2 * kRanks);
    for (const RankRange node : {RankRange{0, cut}, RankRange{cut, kRanks}})
      for (const RankRange subtree : complete_subtrees(kRanks, node)) {
        partials.emplace_back(static_cast<std::size_t>(kElements));
        const auto own = std::span(leaves).subspan(static_cast<std::size_t>(subtree.first), static_cast<std::size_t>(subtree.size()));
        reduce_tree({DType::f32, Reduce::sum, subtree, true}, own, bytes(partials.back()), kElements);
        nodes.push_back({subtree, bytes(partials.back()), true});
      }
    std::vector<float> merged(kElements);
    reduce_tree({DType::f32, Reduce::sum, {0, kRanks}}, nodes, bytes(merged), kElements);
    INFO("cut at " << cut);
    CHECK(merged == whole);
  }
}

TEST_CASE("the result may be written over a rank's own values", "[comm]") {
  std::vector<std::vector<float>> ranks = {{1, 2, 3}, {10, 20, 30}, {100, 200, 300}};
  reduce_tree({DType::f32, Reduce::sum, {0, 3}}, leaves_of(ranks), bytes(ranks[0]), 3);
  CHECK(ranks[0] == std::vector<float>{111, 222, 333});
}

TEST_CASE("a NaN on any rank comes through maximum and minimum", "[comm]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (Reduce op : {Reduce::max, Reduce::min})
    for (std::size_t bad : {0u, 1u, 2u}) {
      std::vector<std::vector<float>> ranks = {{1}, {2}, {3}};
      ranks[bad][0] = nan;
      std::vector<float> out(1);
      reduce_tree({DType::f32, op, {0, 3}}, leaves_of(ranks), bytes(out), 1);
      CHECK(std::isnan(out[0]));
    }
}

TEST_CASE("types that a reduction makes no sense for are refused", "[comm]") {
  CHECK_THROWS_AS(require_reducible(DType::f16, Reduce::sum, "x"), ShapeError);
  CHECK_THROWS_AS(require_reducible(DType::f32, Reduce::bit_or, "x"), ShapeError);
  CHECK_NOTHROW(require_reducible(DType::u8, Reduce::bit_and, "x"));
}

}  // namespace chorale
