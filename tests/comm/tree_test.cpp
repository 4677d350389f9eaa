#include <catch2/catch.hpp>

#include <chorale/comm/tree.hpp>

namespace chorale {

TEST_CASE("the tree splits at the largest power of two below the size", "[comm]") {
  CHECK(split_point({0, 2}) == 1);
  CHECK(split_point({0, 3}) == 2);
  CHECK(split_point({0, 8}) == 4);
  CHECK(split_point({0, 9}) == 8);
  CHECK(split_point({4, 7}) == 6);
}

TEST_CASE("a range of ranks gives its maximal complete subtrees", "[comm]") {
  CHECK(complete_subtrees(8, {0, 8}) == std::vector<RankRange>{{0, 8}});
  CHECK(complete_subtrees(8, {0, 4}) == std::vector<RankRange>{{0, 4}});
  CHECK(complete_subtrees(8, {1, 8}) == std::vector<RankRange>{{1, 2}, {2, 4}, {4, 8}});
  CHECK(complete_subtrees(7, {4, 7}) == std::vector<RankRange>{{4, 7}});
  CHECK(complete_subtrees(7, {3, 5}) == std::vector<RankRange>{{3, 4}, {4, 5}});
  CHECK(complete_subtrees(5, {2, 2}).empty());
}

TEST_CASE("the subtrees of any cut cover the ranks once, in order", "[comm]") {
  for (int n = 1; n <= 33; ++n)
    for (int cut = 0; cut <= n; ++cut) {
      int next = 0;
      for (const RankRange part : {RankRange{0, cut}, RankRange{cut, n}})
        for (const RankRange subtree : complete_subtrees(n, part)) {
          REQUIRE(subtree.first == next);
          REQUIRE(subtree.last <= part.last);
          next = subtree.last;
        }
      REQUIRE(next == n);
    }
}

}  // namespace chorale
