// Several targets of one table: their names and words, what is fitted of each, labels that are missing.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/encode.hpp>
#include <chorale/core/data/matrix_dataset.hpp>
#include <chorale/core/data/target_words.hpp>

using namespace chorale;

namespace {

using Words = std::vector<std::string>;
const double kMissing = std::numeric_limits<double>::quiet_NaN();
const std::vector<ColumnSchema> kColumns = {{"x", ColumnType::number}, {"age", ColumnType::number}, {"group", ColumnType::category}};

/// Five rows; the age of the third and the group of the second and the last are missing.
TableChunk five_rows() {
  TableChunk chunk{0, 5, {}};
  chunk.columns.resize(3);
  chunk.columns[0].numbers = {1, 2, 3, 4, 5};
  chunk.columns[1].numbers = {20, 30, kMissing, 50, 60};
  chunk.columns[2].dictionary = {"a", "b", "c"};
  chunk.columns[2].codes = {0, -1, 2, 1, -1};
  return chunk;
}

DataOptions options_of_targets(const std::string& target, const Words& positive = {}) {
  DataOptions o;
  o.target = target, o.positive = positive;
  return o;
}

}  // namespace

TEST_CASE("names of targets stand between commas, with commas of their own in quotes") {
  CHECK(target_names("").empty());
  CHECK(target_names("Class Name") == Words{"Class Name"});
  CHECK(target_names(" income ,marital") == Words{"income", "marital"});
  CHECK(target_names("\"a, b\", c") == Words{"a, b", "c"});
  CHECK(target_fields({"income"}) == Words{"target"});
  CHECK(target_fields({"income", "marital"}) == Words{"target.income", "target.marital"});
  CHECK_THROWS_WITH(target_names("a,,b"), Catch::Contains("a name is missing beside a comma"));
  CHECK_THROWS_WITH(target_names("a, b, a"), Catch::Contains("'a' stands there twice"));
}

TEST_CASE("words are every target's, or one's behind its name") {
  const Words targets = {"age", "group"};
  CHECK(words_of_target("data.positive", {">=", "3"}, targets, 1) == Words{">=", "3"});
  const Words each = {"group", ":", "a", "b", "age:", ">40"};
  CHECK(words_of_target("data.positive", each, targets, 0) == Words{">40"});
  CHECK(words_of_target("data.positive", each, targets, 1) == Words{"a", "b"});
  CHECK(words_of_target("data.positive", {"age", ":", ">40"}, targets, 1).empty());
  CHECK_THROWS_WITH(words_of_target("data.positive", {"grup", ":", "a"}, targets, 0), Catch::Contains("did you mean 'group'"));
  CHECK_THROWS_WITH(words_of_target("data.positive", {"age", ":", "1", "age", ":", "2"}, targets, 0), Catch::Contains("twice"));
  CHECK_THROWS_WITH(words_of_target("data.positive", {"a", "age", ":", "1"}, targets, 0), Catch::Contains("'a' belongs to no target"));
}

TEST_CASE("each target is fitted by itself on the rows that have it, and is missing where it is") {
  const PreprocessPlan plan =
      make_plan(options_of_targets("age, group", {"age", ":", ">=", "50"}), kColumns, {TargetKind::binary, TargetKind::classes});
  REQUIRE(plan.features.size() == 1);
  FitState state(plan, 5), other(plan, 5);
  state.update(five_rows(), std::vector<Part>(5, Part::train));
  other.merge(state.state());
  const Pipeline fitted = fit_pipeline(plan, other);
  CHECK(fitted.target_names() == Words{"age", "group"});
  CHECK(fitted.targets[0].class_rows == std::vector<std::int64_t>{2, 2});
  CHECK(fitted.targets[1].classes == Words{"a", "b", "c"});
  const Pipeline read = Pipeline::from_json(fitted.to_json());
  CHECK(read.to_json() == fitted.to_json());
  std::vector<float> y(12, -1.0f);  // two columns, six apart: the sixth row is nobody's
  Encoder(read, kColumns).encode(five_rows(), {.target = y.data(), .target_stride = 6});
  const std::vector<float> wanted = {0, 0, std::nanf(""), 1, 1, -1, 0, std::nanf(""), 2, 1, std::nanf(""), -1};
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(i);
    CHECK((std::isnan(wanted[i]) ? std::isnan(y[i]) : y[i] == wanted[i]));
  }
  const std::vector<ColumnSchema> shorter = {kColumns[0], kColumns[2]};  // a file to predict may lack a target
  TableChunk chunk = five_rows();
  chunk.columns.erase(chunk.columns.begin() + 1);
  Encoder(read, shorter).encode(chunk, {.target = y.data(), .target_stride = 6});
  CHECK((std::isnan(y[0]) && y[6] == 0.0f));
}

TEST_CASE("one target must be there in every row, several need some label each") {
  FitState one(make_plan(options_of_targets("age"), kColumns, TargetKind::value), 5);
  CHECK_THROWS_WITH(one.update(five_rows(), std::vector<Part>(5, Part::train)), Catch::Contains("row 3: the target 'age' is missing"));
  const PreprocessPlan plan = make_plan(options_of_targets("age, group"), kColumns, {TargetKind::value, TargetKind::classes});
  FitState two(plan, 5);
  std::vector<Part> parts(5, Part::test);
  parts[1] = parts[4] = Part::train;  // no row with a group
  two.update(five_rows(), parts);
  CHECK_THROWS_WITH(fit_pipeline(plan, two), Catch::Contains("column 'group' is missing in all training rows"));
  TableChunk infinite = five_rows();
  infinite.columns[1].numbers[0] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(two.update(infinite, parts), Catch::Contains("'age' is missing or not finite"));
  CHECK_THROWS_WITH(make_plan(options_of_targets("age, group"), kColumns, {TargetKind::value, TargetKind::value}),
                    Catch::Contains("column 'group' does not hold numbers"));
  CHECK_THROWS_WITH(make_plan(options_of_targets("age, group", {"group", ":", "a"}), kColumns, {TargetKind::value, TargetKind::classes}),
                    Catch::Contains("binary_cross_entropy"));
}

TEST_CASE("a matrix with several targets has a field for each") {
  const std::vector<float> x = {1, 2, 3}, y = {10, 11, 12, 20, 21, 22};
  FeatureMatrix matrix{.rows = 3, .features = 1, .x = x.data(), .target = y.data()};
  matrix.targets = {"target.a", "target.b"};
  const MatrixDataset rows(matrix, std::vector<std::int64_t>{2, 0});
  REQUIRE(rows.fields().size() == 3);
  CHECK(rows.fields()[2].name == "target.b");
  std::vector<float> out(2);
  rows.gather(2, std::vector<std::int64_t>{0, 1}, out.data());
  CHECK(out == std::vector<float>{22, 20});
}
