#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/encode.hpp>

using namespace chorale;

namespace {

const double kNaN = std::numeric_limits<double>::quiet_NaN();

// Twelve rows: a number with a gap, a category with a rare word and a gap, a target. Cut into chunks of any size.
const std::vector<double> kNumbers = {1, 2, 3, kNaN, 5, 6, 7, 8, 1e6, -1e6, 0.1, 0.2};
const std::vector<std::string> kWords = {"b", "a", "b", "", "a", "b", "rare", "a", "new", "b", "a", "a"};
const std::vector<std::string> kTargets = {"no", "yes", "no", "yes", "no", "yes", "no", "yes", "no", "yes", "no", "yes"};
const std::vector<ColumnSchema> kSchema = {{"n", ColumnType::number}, {"c", ColumnType::category}, {"y", ColumnType::category}};

ColumnChunk coded(const std::vector<std::string>& words, std::size_t first, std::size_t count) {
  ColumnChunk out;
  for (std::size_t i = first; i < first + count; ++i) {
    if (words[i].empty()) {
      out.codes.push_back(-1);
      continue;
    }
    std::size_t code = 0;
    while (code < out.dictionary.size() && out.dictionary[code] != words[i]) ++code;
    if (code == out.dictionary.size()) out.dictionary.push_back(words[i]);
    out.codes.push_back(static_cast<std::int32_t>(code));
  }
  return out;
}

TableChunk chunk_of(const std::vector<double>& numbers, std::size_t first, std::size_t count) {
  TableChunk chunk{static_cast<std::int64_t>(first), static_cast<std::int64_t>(count), {}};
  ColumnChunk n;
  for (std::size_t i = first; i < first + count; ++i) n.numbers.push_back(numbers[i]);
  chunk.columns = {n, coded(kWords, first, count), coded(kTargets, first, count)};
  return chunk;
}

std::vector<Part> first_eight() {
  std::vector<Part> parts(12, Part::test);
  std::fill_n(parts.begin(), 8, Part::train);
  return parts;
}

Pipeline fit(const DataOptions& options, std::size_t size = 12, const std::vector<double>& numbers = kNumbers, bool backwards = false,
             TargetKind kind = TargetKind::binary) {
  const PreprocessPlan plan = make_plan(options, kSchema, kind);
  const std::vector<Part> parts = first_eight();
  std::vector<Bytes> states;
  for (std::size_t first = 0; first < numbers.size(); first += size) {
    const std::size_t count = std::min(size, numbers.size() - first);
    FitState one(plan, 12);
    one.update(chunk_of(numbers, first, count), std::span(parts).subspan(first, count));
    states.push_back(one.state());
  }
  if (backwards) std::reverse(states.begin(), states.end());
  FitState all(plan, 12);
  for (const Bytes& state : states) all.merge(state);
  return fit_pipeline(plan, all);
}

std::vector<float> encode(const Pipeline& pipeline, std::vector<float>* target = nullptr) {
  const Encoder encoder(pipeline, kSchema);
  std::vector<float> x(12 * static_cast<std::size_t>(pipeline.features()), -7.0f), y(12);
  encoder.encode(chunk_of(kNumbers, 0, 12), {.x = x.data(), .target = y.data()});
  if (target) *target = y;
  return x;
}

DataOptions options_of(const std::string& scale = "standardise") {
  DataOptions options;
  options.target = "y";
  options.scale = scale;
  return options;
}

}  // namespace

TEST_CASE("exact sums do not depend on the order and keep what cancellation would lose") {
  const std::vector<double> values = {1e300, 1, -1e300, 1e-300, 3e16, 1, -3e16, 0.5, -5e-324};
  ExactSum forward, backward, merged;
  for (const double v : values) forward.add(v);
  for (std::size_t i = values.size(); i-- > 0;) {
    ExactSum one;
    one.add(values[i]);
    backward.add(values[i]);
    merged.merge(one);
  }
  CHECK(static_cast<double>(forward.value()) == 2.5);
  CHECK(forward.value() == backward.value());
  CHECK(forward.value() == merged.value());
  ExactSum negative;
  negative.add(-3);
  negative.add(1);
  CHECK(static_cast<double>(negative.value()) == -2);
}

TEST_CASE("the variance of large numbers that lie close together is exact") {
  ExactMoments moments;
  for (const double v : {1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4}) moments.add(v);
  CHECK(moments.mean() == 1e9 + 2.5);
  CHECK(moments.variance() == 1.25);
}

TEST_CASE("standardising uses the mean and the deviation of present training values") {
  const Pipeline p = fit(options_of());
  // 1 2 3 5 6 7 8: mean 32/7, squares 188/7.
  const double mean = 32.0 / 7, deviation = std::sqrt(188.0 / 7 - mean * mean);
  CHECK(p.columns[0].shift == Approx(mean).epsilon(1e-15));
  CHECK(p.columns[0].factor == Approx(1 / deviation).epsilon(1e-15));
  CHECK(p.feature_names() == std::vector<std::string>{"n", "n is missing", "c=a", "c=b", "c=rare", "c=(other)", "c=(missing)"});
  std::vector<float> y;
  const std::vector<float> x = encode(p, &y);
  const std::vector<float> missing_row(x.begin() + 3 * 7, x.begin() + 4 * 7);
  CHECK(missing_row == std::vector<float>{0, 1, 0, 0, 0, 0, 1});  // the mean, flagged; the category's own value
  CHECK(x[8 * 7 + 5] == 1.0f);                                    // "new" stands only in a test row
  CHECK(p.targets.at(0).classes == std::vector<std::string>{"no", "yes"});
  CHECK(p.targets.at(0).class_rows == std::vector<std::int64_t>{4, 4});
  CHECK(y == std::vector<float>{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
}

TEST_CASE("each scaling gives what is computed by hand") {
  const auto first = [](const Pipeline& p, int row) { return encode(p)[static_cast<std::size_t>(row * p.features())]; };
  CHECK(first(fit(options_of("minmax")), 4) == Approx(4.0 / 7));
  CHECK(first(fit(options_of("none")), 4) == 5.0f);
  // Quartiles of 1 2 3 5 6 7 8: 2.5, 5, 6.5.
  CHECK(first(fit(options_of("robust")), 7) == Approx(0.75));
  const Pipeline normal = fit(options_of("quantile_normal"));
  CHECK(first(normal, 4) == Approx(0).margin(1e-6));  // the median
  CHECK(first(normal, 8) == Approx(3.2905).epsilon(1e-4));
  DataOptions bins = options_of("quantile_bins");
  bins.bins = 2;
  const Pipeline binned = fit(bins);
  const std::vector<float> x = encode(binned);
  CHECK(binned.columns[0].quantiles == std::vector<double>{5});
  CHECK(std::vector<float>(x.begin(), x.begin() + 2) == std::vector<float>{1, 0});
  CHECK(x[4 * static_cast<std::size_t>(binned.features()) + 1] == 1.0f);
  DataOptions logs = options_of("none");
  logs.log1p = {"n"};
  logs.impute = "constant";
  logs.impute_value = 1;
  CHECK(first(fit(logs), 9) == Approx(-std::log1p(1e6)));
  CHECK(first(fit(logs), 3) == Approx(std::log(2.0)));
}

TEST_CASE("rare categories share the slot of unseen ones, and every encoding has a place for both") {
  DataOptions options = options_of();
  options.min_frequency = 2;
  const Pipeline rare = fit(options);
  CHECK(rare.columns[1].categories == std::vector<std::string>{"a", "b"});
  const std::vector<float> x = encode(rare);
  const auto width = static_cast<std::size_t>(rare.features());
  CHECK(x[6 * width + 4] == 1.0f);
  CHECK(x[8 * width + 4] == 1.0f);
  options.impute_categorical = "most_frequent";
  CHECK(fit(options).columns[1].missing_as == 0);  // a and b three times each: the first
  options.encode = "ordinal";
  const Pipeline ordinal = fit(options);
  CHECK(ordinal.features() == 3);
  CHECK(encode(ordinal)[8 * 3 + 2] == 1.0f);
  options.encode = "hashing";
  options.hash_buckets = 8;
  const Pipeline hashed = fit(options);
  CHECK(hashed.features() == 10);
  const std::vector<float> h = encode(hashed);
  for (std::size_t row = 0; row < 12; ++row) {
    float sum = 0;
    for (std::size_t j = 2; j < 10; ++j) sum += h[row * 10 + j];
    CHECK(sum == 1.0f);
  }
}

TEST_CASE("the fit does not depend on the size of chunks or the order of merging") {
  for (const char* scale : {"standardise", "minmax", "robust", "quantile_normal", "quantile_bins"}) {
    const std::string whole = fit(options_of(scale)).to_json();
    for (const std::size_t size : {1u, 2u, 5u, 7u}) {
      CHECK(fit(options_of(scale), size).to_json() == whole);
      CHECK(fit(options_of(scale), size, kNumbers, true).to_json() == whole);
    }
  }
}

TEST_CASE("test rows do not leak into the fit") {
  std::vector<double> other = kNumbers;
  for (std::size_t i = 8; i < 12; ++i) other[i] = 1e9 * static_cast<double>(i);
  for (const char* scale : {"standardise", "minmax", "robust", "quantile_normal"}) {
    CHECK(fit(options_of(scale), 5, other).to_json() == fit(options_of(scale), 5).to_json());
  }
  other[0] = 77;  // a training row does count
  CHECK(fit(options_of(), 5, other).to_json() != fit(options_of(), 5).to_json());
}

TEST_CASE("a pipeline survives its text exactly") {
  for (const char* scale : {"standardise", "quantile_normal", "quantile_bins"}) {
    const Pipeline p = fit(options_of(scale));
    const Pipeline q = Pipeline::from_json(p.to_json());
    CHECK(q.to_json() == p.to_json());
    CHECK(q.columns[0].shift == p.columns[0].shift);
    CHECK(encode(q) == encode(p));
  }
  CHECK_THROWS_AS(Pipeline::from_json("{\"version\": 1}"), CheckpointError);
  CHECK_THROWS_AS(Pipeline::from_json("{\"version\": 2}"), CheckpointError);
  CHECK_THROWS_AS(Pipeline::from_json("{"), CheckpointError);
}

TEST_CASE("a pipeline of others that hashes to no buckets, or to too many, is refused") {
  Pipeline p = fit(options_of());
  FittedColumn column;
  column.name = "h", column.type = ColumnType::category, column.code = CategoryCode::hashing, column.missing_as = 0, column.buckets = 7;
  p.columns.push_back(column);
  std::string text = p.to_json();
  CHECK_NOTHROW(Pipeline::from_json(text));
  const std::size_t at = text.find("\"buckets\": 7");
  REQUIRE(at != std::string::npos);
  for (const char* buckets : {"0", "-1", "1048577"})  // 0: a division by it ended the program
    CHECK_THROWS_WITH(Pipeline::from_json(std::string(text).replace(at, 12, std::string("\"buckets\": ") + buckets)),
                      Catch::Contains("buckets"));
}

TEST_CASE("dates become their parts") {
  const double moment = 1709210096;  // 2024-02-29 12:34:56 UTC, a Thursday
  CHECK(date_part(moment, 0) == 2024);
  CHECK(date_part(moment, 1) == 2);
  CHECK(date_part(moment, 2) == 29);
  CHECK(date_part(moment, 3) == 3);
  CHECK(date_part(moment, 4) == 12);
  CHECK(date_part(-1, 0) == 1969);
  CHECK(date_part(-1, 4) == 23);
}

TEST_CASE("a plan or a target that cannot work is refused with the reason") {
  DataOptions wrong = options_of();
  wrong.target = "why";
  CHECK_THROWS_WITH(make_plan(wrong, kSchema, TargetKind::binary), Catch::Contains("no column 'why'") && Catch::Contains("y"));
  wrong = options_of();
  wrong.minmax = {"c"};
  CHECK_THROWS_WITH(make_plan(wrong, kSchema, TargetKind::binary), Catch::Contains("data.minmax") && Catch::Contains("categories"));
  wrong = options_of();
  wrong.minmax = {"n"}, wrong.robust = {"n"};
  CHECK_THROWS_AS(make_plan(wrong, kSchema, TargetKind::binary), UsageError);
  CHECK_THROWS_AS(make_plan(options_of(), kSchema, TargetKind::value), DataError);
  wrong = options_of("standardize");
  CHECK_THROWS_WITH(make_plan(wrong, kSchema, TargetKind::binary), Catch::Contains("standardise"));
  DataOptions many = options_of();
  many.target = "c";
  many.drop = {"y"};
  CHECK_THROWS_WITH(fit(many), Catch::Contains("row 4") && Catch::Contains("missing"));
  DataOptions weighted = options_of();
  weighted.weight = "n";
  CHECK_THROWS_WITH(fit(weighted), Catch::Contains("row 4") && Catch::Contains("weight"));
}

TEST_CASE("a missing number can become the most frequent one, the smallest of equals") {
  DataOptions options = options_of("none");
  options.impute = "most_frequent";
  std::vector<double> numbers = kNumbers;
  numbers[0] = 7;
  CHECK(fit(options, 12, numbers).columns[0].fill == 7);
  CHECK(fit(options, 5, numbers, true).columns[0].fill == 7);
  CHECK(fit(options).columns[0].fill == 1);
}

TEST_CASE("data.positive makes two classes of a finer target, and only the columns asked for are features") {
  DataOptions options = options_of();
  options.target = "n", options.positive = {">=", "5"}, options.columns = {"c"};
  Schema schema = kSchema;
  TableChunk chunk = chunk_of(kNumbers, 0, 12);
  chunk.columns[0].numbers[3] = 4;
  const PreprocessPlan plan = make_plan(options, schema, TargetKind::binary);
  REQUIRE(plan.features.size() == 1);
  CHECK(plan.features[0].name == "c");
  FitState state(plan, 12);
  state.update(chunk, first_eight());
  const Pipeline fitted = fit_pipeline(plan, state);
  CHECK(fitted.targets.at(0).classes == std::vector<std::string>{"0", "1"});
  CHECK(fitted.targets.at(0).class_rows == std::vector<std::int64_t>{4, 4});
  const Pipeline read = Pipeline::from_json(fitted.to_json());
  CHECK(read.targets.at(0).positive == options.positive);
  std::vector<float> y(12);
  Encoder(read, schema).encode(chunk, {.x = nullptr, .target = y.data()});
  CHECK(y == std::vector<float>{0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0});
  options.target = "y", options.positive = {"yes"}, options.columns = {};
  CHECK(make_plan(options, schema, TargetKind::binary).features.size() == 2);
  CHECK_THROWS_WITH(make_plan(options, schema, TargetKind::classes), Catch::Contains("binary_cross_entropy"));
  options.positive = {"<3"};
  CHECK_THROWS_WITH(make_plan(options, schema, TargetKind::binary), Catch::Contains("'y' holds none"));
  options.positive = {}, options.columns = {"y"};
  CHECK_THROWS_WITH(make_plan(options, schema, TargetKind::binary), Catch::Contains("data.columns: column 'y' has another role"));
  options.columns = {"cc"};
  CHECK_THROWS_WITH(make_plan(options, schema, TargetKind::binary), Catch::Contains("did you mean 'c'"));
}

TEST_CASE("rules of data.positive") {
  const TargetRule above({">0.5"}), values({"7", "yes"});
  CHECK((above.holds(0.6) && !above.holds(0.5) && !above.holds(std::string_view("0.6"))));
  CHECK((values.holds(7.0) && !values.holds(8.0) && values.holds(std::string_view("yes")) && !values.holds(std::string_view("no"))));
  CHECK(TargetRule({"<=", "3"}).holds(3.0));
  CHECK_FALSE(TargetRule({"<", "3"}).holds(3.0));
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{{">="}, {">=", "x"}, {">", "1", "2"}, {">3", "4"}})
    CHECK_THROWS_WITH(TargetRule(wrong), Catch::Contains("comparison with one number"));
}
