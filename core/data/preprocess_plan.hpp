// What is to happen to each column, decided from the schema and [data] before any row is fitted.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/data/data_options.hpp>
#include <chorale/core/data/table.hpp>
#include <chorale/core/data/target_rule.hpp>

namespace chorale {

enum class Scale : std::uint8_t { none, standardise, minmax, robust, quantile_normal, quantile_bins };
enum class CategoryCode : std::uint8_t { one_hot, ordinal, hashing };
enum class Impute : std::uint8_t { mean, median, most_frequent, constant };
enum class TargetKind : std::uint8_t { binary, classes, value };
// Their names in recipes and in pipeline.json, in that order.
inline constexpr std::array<std::string_view, 6> kScaleNames = {"none",   "standardise",     "minmax",
                                                                "robust", "quantile_normal", "quantile_bins"};
inline constexpr std::array<std::string_view, 3> kCategoryCodeNames = {"one_hot", "ordinal", "hashing"};
inline constexpr std::array<std::string_view, 3> kTargetKindNames = {"binary", "classes", "value"};

std::string_view name(Scale scale);
std::string_view name(CategoryCode code);
std::string_view name(TargetKind kind);

/// One feature column of the file and its treatment.
struct ColumnPlan {
  std::string name;
  int source = 0;  // in the schema
  ColumnType type = ColumnType::number;
  Scale scale = Scale::standardise;
  CategoryCode code = CategoryCode::one_hot;
  bool log1p = false;
  /// Does fitting need the values themselves, not only their sums?
  bool needs_quantiles(Impute impute) const {
    const bool fill = impute == Impute::median || impute == Impute::most_frequent;
    if (type == ColumnType::date) return fill;
    return type == ColumnType::number &&
           (fill || scale == Scale::robust || scale == Scale::quantile_normal || scale == Scale::quantile_bins);
  }
};

/// One target and what is learnt of it.
struct TargetPlan {
  int source = -1;  // in the schema
  TargetKind kind = TargetKind::value;
  TargetRule positive = {};
};

struct PreprocessPlan {
  std::vector<ColumnSchema> schema;
  std::vector<ColumnPlan> features;
  std::vector<TargetPlan> targets;  // none: for a table that is only read. With several, a row may lack labels
  int weight = -1;
  int split = -1;  // column that the split looks at
  std::vector<int> ids;
  std::vector<std::string> left_out;  // free text, neither named nor an id: no feature
  Impute impute = Impute::mean;
  double impute_value = 0;
  bool impute_most_frequent = false, missing_indicator = true;
  std::int64_t bins = 10, hash_buckets = 64, min_frequency = 1;
};

/// Throws UsageError for a column that is not there (with the nearest name), named twice, or of a type its treatment cannot take.
/// kinds: by target of data.target.
PreprocessPlan make_plan(const DataOptions& options, const std::vector<ColumnSchema>& schema, const std::vector<TargetKind>& kinds);
inline PreprocessPlan make_plan(const DataOptions& options, const std::vector<ColumnSchema>& schema, TargetKind kind) {
  return make_plan(options, schema, std::vector<TargetKind>{kind});
}

/// Number of the column of that name. `key` is the setting that asked for it.
int column_at(const std::vector<ColumnSchema>& schema, std::string_view column, std::string_view key);

}  // namespace chorale
