// The section [data] of a recipe: which file, which columns are what, how they are transformed and cut into parts.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/base/option.hpp>

namespace chorale {

struct DataOptions {
  // What is read.
  std::string format = "csv";      // a registered reader: csv idx npy text
  std::vector<std::string> file;   // paths or globs, .gz too; several files are one table
  std::string separator = "auto";  // one character, "tab" or "auto"
  bool header = true;              // without: columns are c0, c1, ...
  std::vector<std::string> missing = {"", "NA", "N/A", "null", "NULL", "?"};
  std::string bad_rows = "stop";  // "stop" or "skip N"
  std::string memory = "auto";    // budget a node for the feature matrix, "2GB"; beyond it a file is used

  // What the columns are. Inferred unless named.
  std::string target;                 // see target_names
  std::vector<std::string> positive;  // see TargetRule
  std::string weight;                 // column of sample weights
  std::vector<std::string> columns;   // the only features; empty: all that have no other role
  std::vector<std::string> drop;
  std::vector<std::string> id;  // kept for predictions, never a feature
  std::vector<std::string> numeric;
  std::vector<std::string> categorical;
  std::vector<std::string> date;

  // How they become features. Each list names columns and overrides the two defaults.
  std::string scale = "standardise";  // default of numeric columns: standardise minmax robust quantile_normal none
  std::string encode = "one_hot";     // default of categorical columns: one_hot ordinal hashing
  std::vector<std::string> standardise, minmax, robust, quantile_normal, quantile_bins, log1p, keep;
  std::vector<std::string> one_hot, ordinal, hashing;
  std::int64_t bins = 10;  // of quantile_bins
  std::int64_t hash_buckets = 64;
  std::int64_t min_frequency = 1;  // rarer categories share one value with unseen ones
  std::string impute = "mean";     // numeric columns: mean median most_frequent constant
  double impute_value = 0;
  std::string impute_categorical = "own";  // own most_frequent
  bool missing_indicator = true;           // an is-missing column for each numeric column that misses values in training rows

  // What a collaboration has published, as features.
  std::string representations = {};                     // "RUN : KIND : COLUMN"
  std::vector<std::string> representations_tasks = {};  // empty: all

  // Arrays.
  std::string dir = {};                          // of idx: the four files of Fashion-MNIST's names
  std::string labels = {};                       // of data.file
  std::string test_file = {}, test_labels = {};  // test rows in files of their own
  double validation = 0.1;                       // share of the training rows that validate, where test rows have a file
  std::string shape = {};                        // "28x28x1", of a row; empty: as stored
  std::vector<std::string> augment = {};         // "flip crop(4) cutout(8)", of training images

  // Text.
  std::string tokens = "character";  // byte character
  std::int64_t context = 128;        // tokens of a window

  // How rows are cut.
  std::vector<std::string> split = {"random", "0.70", "0.15", "0.15"};
  std::string fold = {};  // "2/5": which of so many parts is tested; empty: as split says
  std::int64_t split_seed = 1;
};

/// Declares every key of [data], bound to `options`. formats: what data.format may be.
void describe(OptionTable& table, DataOptions& options, const std::vector<std::string>& formats = {"csv"});

/// Throws UsageError for a key of [data] that differs from its default and is none of `taken`, which data.format = `format` takes.
void check_taken(const DataOptions& options, const std::string& format, std::span<const std::string_view> taken);

/// Every path of [data] that is relative becomes absolute, under `base`.
void make_paths_absolute(DataOptions& options, const std::string& base);

}  // namespace chorale
