// Fitted preprocessing: how a row of the file becomes a row of features, the same in training and, years later, in prediction.
// Saved with the model as pipeline.json. Read-only once fitted; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/base/dtype.hpp>
#include <chorale/core/base/shape.hpp>
#include <chorale/core/data/preprocess_plan.hpp>
#include <chorale/core/data/preprocess_state.hpp>
#include <chorale/core/data/tokeniser.hpp>

namespace chorale {

/// One column of the file, or one part of a date, with what fitting has found.
struct FittedColumn {
  std::string name;
  ColumnType type = ColumnType::number;
  // Numbers: ((value or fill, after log1p) - shift) * factor; missing ones also raise the indicator.
  int date_part = -1;
  Scale scale = Scale::none;
  bool log1p = false, indicator = false;
  double fill = 0, shift = 0, factor = 1;
  std::vector<double> quantiles;  // quantile_normal: values at equal steps of probability; quantile_bins: inner borders
  // Categories: the slots are `categories`, then "other" (rare and unseen), then "missing" where it has its own.
  CategoryCode code = CategoryCode::one_hot;
  std::vector<std::string> categories;
  bool missing_slot = false;
  int missing_as = -1;  // the slot a missing value takes
  std::int64_t buckets = 0;

  int slots() const { return static_cast<int>(categories.size()) + 1 + (missing_slot ? 1 : 0); }
  int other() const { return static_cast<int>(categories.size()); }
  std::int64_t width() const;
  void add_names(std::vector<std::string>& out) const;
};

/// Features that the file does not hold: vectors that tasks of a collaboration have published of each row's entity, behind the columns'.
struct PublishedFeatures {
  std::string run, kind, column;   // column: of the keys; empty: the number of the row
  std::vector<std::string> tasks;  // empty: there are none
  std::int64_t width = 0;
  std::string version;  // which rows: what the model is bound to
  std::int64_t count() const { return static_cast<std::int64_t>(tasks.size()) * (width + 1); }
  void add_names(std::vector<std::string>& out) const;
};

/// Rows that are arrays and have no columns: images, sequences, vectors.
struct ArrayFeatures {
  Shape row_shape = {};                         // without extents: the pipeline is a table's
  DType stored = DType::f32;                    // u8, or f32 for all other numbers
  std::vector<double> shift = {}, factor = {};  // of Field
  bool is_there() const { return row_shape.rank() > 0; }
};

/// Rows that are windows of a text.
struct TokenFeatures {
  std::string kind = {};     // "byte" or "character"; empty: rows are no text
  std::int64_t context = 0;  // tokens of a row
  std::vector<std::string> characters = {};
  bool is_there() const { return !kind.empty(); }
  Tokeniser tokeniser() const { return kind == "character" ? Tokeniser(characters) : Tokeniser(); }
};

/// A target with the classes that the training rows have.
struct FittedTarget {
  std::string name;
  TargetKind kind = TargetKind::value;
  std::vector<std::string> positive = {};     // TargetRule's words; empty: classes are the target's own
  std::vector<std::string> classes = {};      // by class id; numbers in numeric order, texts in byte order
  std::vector<std::int64_t> class_rows = {};  // of each class in the training rows
};

struct Pipeline {
  std::vector<ColumnSchema> schema;  // of the training file
  std::vector<FittedColumn> columns;
  PublishedFeatures published;
  ArrayFeatures array = {};
  TokenFeatures tokens = {};
  std::vector<FittedTarget> targets;  // with several, a row may lack labels
  std::string weight;
  std::vector<std::string> ids, left_out;
  std::string split;
  std::int64_t split_seed = 1, training_rows = 0;

  std::int64_t features() const;
  /// What a model's input is, without the batch dimension: [features] of a table, [context] of a text, the array's own else.
  Shape row_shape() const {
    if (tokens.is_there()) return {tokens.context};
    return array.is_there() ? array.row_shape : Shape{features()};
  }
  /// Of columns; places in an array have none.
  std::vector<std::string> feature_names() const;
  std::vector<std::string> target_names() const;
  /// Doubles survive the round trip exactly.
  std::string to_json() const;
  /// Throws CheckpointError when the text is not a pipeline.
  static Pipeline from_json(const std::string& text);
};

/// Throws DataError for a target that is constant, or has more than two classes where two are needed.
Pipeline fit_pipeline(const PreprocessPlan& plan, const FitState& state);

/// Class names in the order of their ids.
std::vector<std::string> sorted_names(const std::map<std::string, std::int64_t>& counts);

}  // namespace chorale
