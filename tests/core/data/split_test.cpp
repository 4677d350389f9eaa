#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <numeric>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/core/data/split.hpp>

using namespace chorale;

namespace {
std::array<std::int64_t, 3> counts(const std::vector<Part>& parts) {
  std::array<std::int64_t, 3> out{};
  for (const Part part : parts) ++out[static_cast<std::size_t>(part)];
  return out;
}
}  // namespace

TEST_CASE("a random split has exact counts and follows its seed") {
  const SplitRule rule = parse_split({"random", "0.7", "0.15", "0.15"});
  const std::vector<Part> parts = assign_parts(rule, 1, 1000, {});
  CHECK(counts(parts) == std::array<std::int64_t, 3>{700, 150, 150});
  CHECK(assign_parts(rule, 1, 1000, {}) == parts);
  CHECK(assign_parts(rule, 2, 1000, {}) != parts);
  CHECK(counts(assign_parts(parse_split({"random", "0.8", "0.2"}), 1, 11, {})) == std::array<std::int64_t, 3>{9, 0, 2});
}

TEST_CASE("a stratified split keeps the share of each class") {
  std::vector<std::uint64_t> keys(1000, 5);
  std::fill_n(keys.begin(), 100, 9);
  const std::vector<Part> parts = assign_parts(parse_split({"stratified", "0.7", "0.15", "0.15"}), 3, 1000, keys);
  CHECK(counts({parts.begin(), parts.begin() + 100}) == std::array<std::int64_t, 3>{70, 15, 15});
  CHECK(counts(parts) == std::array<std::int64_t, 3>{700, 150, 150});
}

TEST_CASE("a split by time never trains on what comes later") {
  TableChunk chunk{0, 10, {{{9, 8, 7, 6, 5, 4, 3, 2, 1, -1}, {}, {}}}};
  const SplitRule rule = parse_split({"time", "t", "0.6", "0.2", "0.2"});
  const std::vector<Part> parts = assign_parts(rule, 1, 10, split_keys(rule, chunk, 0, ColumnType::date));
  const auto a = Part::train, b = Part::validation, c = Part::test;
  CHECK(parts == std::vector<Part>{c, c, b, b, a, a, a, a, a, a});
}

TEST_CASE("a split by order takes rows as they lie, whatever the seed") {
  const SplitRule rule = parse_split({"order", "0.6", "0.2", "0.2"});
  CHECK_FALSE(rule.needs_keys());
  const auto a = Part::train, b = Part::validation, c = Part::test;
  CHECK(assign_parts(rule, 1, 10, {}) == std::vector<Part>{a, a, a, a, a, a, b, b, c, c});
  CHECK(assign_parts(rule, 2, 10, {}) == assign_parts(rule, 1, 10, {}));
  CHECK(rule.text() == "order 0.6 0.2 0.2");
}

TEST_CASE("a split by group keeps each group whole") {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 0; i < 1000; ++i) keys.push_back(i % 97);
  const std::vector<Part> parts = assign_parts(parse_split({"group", "g", "0.7", "0.15", "0.15"}), 1, 1000, keys);
  std::map<std::uint64_t, Part> seen;
  for (std::size_t i = 0; i < keys.size(); ++i) CHECK(seen.emplace(keys[i], parts[i]).first->second == parts[i]);
  const auto n = counts(parts);
  CHECK(std::abs(n[0] - 700) <= 11);  // a group has at most 11 rows
  CHECK(std::abs(n[1] - 150) <= 11);
}

TEST_CASE("a column may name the part") {
  TableChunk chunk{0, 3, {{{}, {0, 1, 0}, {"train", "test"}}}};
  const SplitRule rule = parse_split({"column", "part"});
  CHECK(assign_parts(rule, 1, 3, split_keys(rule, chunk, 0, ColumnType::category)) ==
        std::vector<Part>{Part::train, Part::test, Part::train});
  chunk.columns[0].dictionary[1] = "tset";
  CHECK_THROWS_WITH(split_keys(rule, chunk, 0, ColumnType::category), Catch::Contains("tset") && Catch::Contains("validation"));
  chunk.columns[0].dictionary[1] = "test";
  chunk.columns[0].codes[2] = -1;
  CHECK_THROWS_WITH(split_keys(rule, chunk, 0, ColumnType::category), Catch::Contains("row 3"));
}

TEST_CASE("a split that makes no sense is refused with what is allowed") {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{},
                                                                                     {"randm"},
                                                                                     {"random", "0.7", "0.7"},
                                                                                     {"random", "1"},
                                                                                     {"random", "a", "b"},
                                                                                     {"time"},
                                                                                     {"random", "0", "1"},
                                                                                     {"random", "-0.1", "1.1"},
                                                                                     {"column", "c", "0.5", "0.5"}}) {
    CHECK_THROWS_WITH(parse_split(words), Catch::Contains("Allowed: random 0.70"));
    CHECK_THROWS_AS(parse_split(words), UsageError);
  }
  CHECK_THROWS_WITH(assign_parts(parse_split({"random", "0.98", "0.01", "0.01"}), 1, 10, {}), Catch::Contains("none falls into"));
}

TEST_CASE("a part of a matrix gathers its own rows") {
  std::vector<float> x(12), y = {0, 1, 2, 3};
  std::iota(x.begin(), x.end(), 0.0f);
  const MatrixDataset part({4, 3, x.data(), y.data(), nullptr, nullptr}, {3, 1});
  CHECK(part.rows() == 2);
  REQUIRE(part.fields().size() == 2);
  std::vector<float> out(9);
  part.gather(0, std::vector<std::int64_t>{1, 0, 1}, out.data());
  CHECK(out == std::vector<float>{3, 4, 5, 9, 10, 11, 3, 4, 5});
  part.gather(1, std::vector<std::int64_t>{0}, out.data());
  CHECK(out[0] == 3.0f);
  CHECK_THROWS_AS(MatrixDataset({4, 3, x.data(), nullptr, nullptr, nullptr}, {4}), InternalError);
}

TEST_CASE("parts by key follow from key and seed alone, and meet their shares in the mean") {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 1; i <= 20000; ++i) keys.push_back(i * 0x9E3779B97F4A7C15u);
  const std::array<double, 3> share = {0.7, 0.1, 0.2};
  const std::vector<Part> parts = parts_by_key(keys, share, 3);
  std::array<int, 3> count = {};
  for (const Part part : parts) ++count[static_cast<std::size_t>(part)];
  for (std::size_t p = 0; p < 3; ++p) CHECK(count[p] == Approx(20000 * share[p]).epsilon(0.03));
  const std::vector<std::uint64_t> few = {keys[500], keys[7], 0, 0, keys[7]};
  const std::vector<Part> again = parts_by_key(few, share, 3);
  CHECK((again[0] == parts[500] && again[1] == parts[7] && again[4] == parts[7]));
  CHECK(parts_by_key(keys, share, 4) != parts);
  const std::vector<Part> nobody = parts_by_key(std::vector<std::uint64_t>(1000), share, 3);  // drawn one by one
  CHECK(std::count(nobody.begin(), nobody.end(), Part::train) == Approx(700).margin(60));
}

TEST_CASE("folds are of equal size, test each row once, and cut the rest as the shares say") {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 0; i < 103; ++i) keys.push_back(i % 20);
  for (const char* kind : {"random", "stratified", "group"}) {
    CAPTURE(kind);
    std::vector<std::string> words = {kind};
    if (kind == std::string("group")) words.emplace_back("g");
    words.insert(words.end(), {"0.6", "0.2", "0.2"});
    std::vector<int> tested(103);
    for (int k = 1; k <= 5; ++k) {
      const SplitRule rule = parse_split(words, std::to_string(k) + "/5");
      CHECK_THAT(rule.text(), Catch::EndsWith(", fold " + std::to_string(k) + "/5"));
      const std::vector<Part> parts = assign_parts(rule, 7, 103, kind == std::string("random") ? std::span<const std::uint64_t>() : keys);
      for (std::size_t i = 0; i < parts.size(); ++i) tested[i] += parts[i] == Part::test;
      const auto count = [&](Part part) { return static_cast<int>(rows_of(parts, part).size()); };
      const int slack = kind == std::string("random") ? 1 : 12;  // a group, or a rounding of each class
      CHECK(std::abs(count(Part::test) - 103 / 5) <= slack);
      CHECK(std::abs(count(Part::validation) - count(Part::train) / 3) <= slack);
      if (kind != std::string("group")) continue;
      std::map<std::uint64_t, Part> of;
      for (std::size_t i = 0; i < parts.size(); ++i) CHECK(of.emplace(keys[i], parts[i]).first->second == parts[i]);
    }
    CHECK(std::count(tested.begin(), tested.end(), 1) == 103);
  }
  CHECK(parse_split({"random"}, "").folds == 0);
  for (const char* wrong : {"2", "0/5", "6/5", "1/1", "2/5x", "/5", "2/", "a/b"})
    CHECK_THROWS_WITH(parse_split({"random"}, wrong), Catch::Contains("expected K/N"));
  CHECK_THROWS_WITH(parse_split({"order"}, "1/5"), Catch::Contains("data.fold is for random, stratified and group"));
  CHECK_THROWS_WITH(parse_split({"time", "day"}, "1/5"), Catch::Contains("data.fold is for random, stratified and group"));
}
