#include <catch2/catch.hpp>

#include <chorale/train/worker_tree.hpp>

using namespace chorale;

TEST_CASE("a rank holds one subtree when V / R is a power of two, a few otherwise") {
  CHECK(maximal_subtrees(8, workers_of(1, 2, 8)) == std::vector<Subtree>{{4, 4}});
  CHECK(maximal_subtrees(4, workers_of(0, 3, 4)) == std::vector<Subtree>{{0, 1}});
  CHECK(maximal_subtrees(4, workers_of(2, 3, 4)) == std::vector<Subtree>{{2, 2}});
  CHECK(maximal_subtrees(6, {1, 4}) == std::vector<Subtree>{{1, 1}, {2, 2}, {4, 1}});
}

TEST_CASE("the sum has the same bits whichever ranks hold the leaves") {
  for (std::int64_t workers = 1; workers <= 13; ++workers) {
    std::vector<float> leaf;
    for (std::int64_t v = 0; v < workers; ++v) leaf.push_back(1.0f / static_cast<float>(3 * v + 7));
    const auto add = [](const float* a, const float* b, float* c, std::int64_t) { *c = *a + *b; };
    const auto total = [&](std::int64_t ranks) {
      std::vector<Subtree> held;
      for (std::int64_t r = 0; r < ranks; ++r)
        for (const Subtree& s : maximal_subtrees(workers, workers_of(r, ranks, workers))) held.push_back(s);
      std::vector<float> partial;
      for (const Subtree& s : held) {  // each partial sum by the same rule, below its own root
        std::vector<Subtree> leaves;
        std::vector<const void*> bases;
        for (std::int64_t v = 0; v < s.count; ++v) leaves.push_back({v, 1}), bases.push_back(&leaf[static_cast<std::size_t>(s.first + v)]);
        float scratch[64];
        partial.push_back(*TreeSum(s.count, leaves).sum<float>(bases, 0, 1, scratch, 1, add));
      }
      std::vector<const void*> bases;
      for (const float& p : partial) bases.push_back(&p);
      float scratch[64];
      return *TreeSum(workers, held).sum<float>(bases, 0, 1, scratch, 1, add);
    };
    for (std::int64_t ranks = 1; ranks <= workers; ++ranks) CHECK(total(ranks) == total(1));
  }
}
