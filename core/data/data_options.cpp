#include <chorale/core/data/data_options.hpp>

#include <algorithm>
#include <filesystem>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/csv_dialect.hpp>
#include <chorale/core/data/extents.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/core/data/split.hpp>
#include <chorale/core/data/target_rule.hpp>

namespace chorale {

namespace {

void describe_reading(OptionTable& table, DataOptions& o, const std::vector<std::string>& formats) {
  table.add(
      "data.format", o.format,
      "What the files hold: csv, a table; idx or npy, an array of rows, such as images, and one of labels; text, plain text. Each takes "
      "keys of its own, and refuses others.",
      {.choices = formats});
  table.add("data.file", o.file,
            "Paths or globs of CSV files, also gzip; several are one table, and must have the same header. A name with blanks, here and in "
            "every list, stands in double quotes. Of idx and npy: the one file of training rows; of text: the one file.");
  table.add("data.separator", o.separator,
            "What parts fields: one character, tab, or auto, which chooses among comma, semicolon, tab and |.",
            {.check = [](const std::string& value) { separator_of(value); }});
  table.add("data.header", o.header, "Is the first record the names of the columns? Without, they are called c0, c1 and so on.");
  table.add("data.missing", o.missing, "Words that mean a missing value; an empty field always does.");
  table.add(
      "data.bad_rows", o.bad_rows,
      "What becomes of a row that cannot be read: stop ends with file, line and column; skip N leaves out at most N rows and counts them.",
      {.check = [](const std::string& value) { bad_row_limit(value); }});
  table.add("data.memory", o.memory,
            "Budget of a node for the feature matrix, as 2GB or 500MB; beyond it the matrix lies in a file in TMPDIR, and pieces are read "
            "again, while idx and npy are refused. auto takes half of what is free.",
            {.mathematics = false, .check = [](const std::string& value) { memory_budget(value); }});
}

void describe_columns(OptionTable& table, DataOptions& o) {
  table.add("data.target", o.target,
            "The column to predict; several, parted by commas, are learnt together by a model of several tasks (model.kind). Such a row "
            "may lack some "
            "of its labels.");
  table.add(
      "data.positive", o.positive,
      "Which values of the target are class 1, all others being class 0: a comparison such as >= 13, or the values. Empty: the target's "
      "own classes. With several targets each may have its own: college : >= 13 marital : Never-married.",
      {.check = [](const std::string& value) {
        if (value.find(':') == std::string::npos) TargetRule(words_of(value));
      }});
  table.add("data.weight", o.weight, "Column of sample weights, numbers of at least 0; empty: all weigh the same.");
  table.add("data.columns", o.columns, "The only columns that become features; empty: all that have no other role.");
  table.add("data.drop", o.drop, "Columns that are not used.");
  table.add("data.id", o.id, "Columns that identify a row: kept for predictions, never a feature.");
  table.add("data.numeric", o.numeric, "Columns that hold numbers: any text in them is a bad row.");
  table.add("data.categorical", o.categorical, "Columns that hold categories, also where these look like numbers.");
  table.add("data.date", o.date, "Columns that hold dates (2011-12-31, 31.12.2011, 12/31/2011, with or without a time of day).");
}

void describe_features(OptionTable& table, DataOptions& o) {
  table.add("data.scale", o.scale,
            "What is done to numeric columns that no list below names. Of idx and npy, by place in the last extent (a channel of images, a "
            "column): standardise, minmax (bytes: divided by 255) or none.",
            {.choices = {"standardise", "minmax", "robust", "quantile_normal", "none"}});
  table.add("data.encode", o.encode, "What is done to categorical columns that no list below names.",
            {.choices = {"one_hot", "ordinal", "hashing"}});
  table.add("data.standardise", o.standardise, "Columns brought to mean 0 and standard deviation 1.");
  table.add("data.minmax", o.minmax, "Columns brought to the range 0 to 1.");
  table.add("data.robust", o.robust, "Columns brought to median 0 and interquartile range 1.");
  table.add("data.quantile_normal", o.quantile_normal, "Columns brought to a normal distribution by their ranks.");
  table.add("data.quantile_bins", o.quantile_bins, "Columns cut into data.bins bins of equal frequency, one-hot.");
  table.add("data.log1p", o.log1p, "Columns replaced by sign(x) log(1 + |x|) before they are scaled.");
  table.add("data.keep", o.keep, "Numeric columns taken as they are.");
  table.add("data.one_hot", o.one_hot, "Columns of categories with one feature for each.");
  table.add("data.ordinal", o.ordinal, "Columns of categories with their number as one feature.");
  table.add("data.hashing", o.hashing, "Columns of categories hashed to data.hash_buckets features: for very many categories.");
  table.add("data.bins", o.bins, "Bins of each column in data.quantile_bins.", {.min = 2, .max = 1000});
  table.add("data.hash_buckets", o.hash_buckets, "Features of each column in data.hashing.", {.min = 2, .max = 1048576});
  table.add("data.min_frequency", o.min_frequency, "Categories with fewer training rows share one value with unseen ones.",
            {.min = 1, .max = 1e9});
  table.add("data.impute", o.impute, "What a missing number, or part of a date, becomes; dates take the mean where constant is asked for.",
            {.choices = {"mean", "median", "most_frequent", "constant"}});
  table.add("data.impute_value", o.impute_value, "The number that data.impute = constant takes.");
  table.add("data.impute_categorical", o.impute_categorical,
            "What a missing category becomes: a category of its own, or the most frequent one.", {.choices = {"own", "most_frequent"}});
  table.add("data.missing_indicator", o.missing_indicator,
            "Add a feature that tells a missing number, for columns that miss some in training rows?");
}

void describe_representations(OptionTable& table, DataOptions& o) {
  table.add("data.representations", o.representations,
            "Features beside the columns: the vectors that tasks of a finished collaboration have published of each row's entity, as RUN : "
            "KIND : COLUMN, the column holding keys; RUN : KIND where each row is an entity.",
            {.mathematics = false});
  table.add("data.representations_tasks", o.representations_tasks, "Whose vectors; empty: of all tasks that publish.");
}

void describe_arrays(OptionTable& table, DataOptions& o) {
  table.add("data.dir", o.dir,
            "Of idx: the folder of train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, "
            "perhaps .gz, instead of naming the files.",
            {.mathematics = false});
  table.add("data.labels", o.labels,
            "Of idx and npy: the labels of data.file, one a row. Empty: the name of an idx file with labels-idx1 for images-idx3.",
            {.mathematics = false});
  table.add("data.test_file", o.test_file, "Of idx and npy: the test rows, where they have a file of their own.", {.mathematics = false});
  table.add("data.test_labels", o.test_labels, "Of idx and npy: the labels of data.test_file, found as data.labels is.",
            {.mathematics = false});
  table.add("data.validation", o.validation,
            "Of idx and npy with test rows of their own: the share of the training rows that validates, drawn by data.split_seed; 0: none.",
            {.min = 0, .max = 0.99});
  table.add("data.shape", o.shape,
            "Of idx and npy: what a row is, as 28x28x1, channels last. Empty: as stored; idx images get a last extent of 1.",
            {.check = [](const std::string& value) { parse_extents(value); }});
  table.add(
      "data.augment", o.augment,
      "Of idx and npy: random changes of training images, in this order: flip (left and right), crop(P) (moved by up to P pixels each "
      "way), cutout(S) (a square of S pixels a side becomes 0). Drawn from train.seed, the update and the position in the batch.");
}

void describe_text(OptionTable& table, DataOptions& o) {
  table.add("data.tokens", o.tokens,
            "Of text: what it is cut into: character, those of UTF-8 that the training part has, with one token for all others; or byte.",
            {.choices = {"character", "byte"}});
  table.add(
      "data.context", o.context,
      "Of text: tokens of a row. Rows do not overlap; in training each begins up to as many tokens later, drawn anew in every update.",
      {.min = 1, .max = 1 << 20});
}

void describe_split(OptionTable& table, DataOptions& o) {
  table.add(
      "data.split", o.split,
      "Parts for training, validation and test: random 0.7 0.15 0.15, stratified 0.7 0.15 0.15 (by target), time COLUMN 0.7 0.15 0.15, "
      "group COLUMN 0.7 0.15 0.15, order 0.7 0.15 0.15 (as rows lie in the file; of text order 0.8 0.1 0.1 is meant where nothing is "
      "said), or column COLUMN, which names each row's part (train, validation, test). Two shares are training and test.",
      {.check = [](const std::string& value) { parse_split(words_of(value)); }});
  table.add("data.fold", o.fold,
            "K/N: test is the K-th of N parts of equal size, instead of the share in data.split; chorale cv trains with each. Empty: none.",
            {.check = [](const std::string& value) { parse_split({"random"}, value); }});
  table.add("data.split_seed", o.split_seed, "Seed of random, stratified and group splits.", {.min = 0, .max = 0x1p53});
}

}  // namespace

void describe(OptionTable& table, DataOptions& options, const std::vector<std::string>& formats) {
  describe_reading(table, options, formats);
  describe_columns(table, options);
  describe_features(table, options);
  describe_representations(table, options);
  describe_arrays(table, options);
  describe_text(table, options);
  describe_split(table, options);
}

void check_taken(const DataOptions& options, const std::string& format, std::span<const std::string_view> taken) {
  DataOptions own = options, plain;
  OptionTable given, defaults;
  describe(given, own, {format});
  describe(defaults, plain);
  for (std::size_t i = 0; i < given.all().size(); ++i) {
    const Option& option = given.all()[i];
    const std::string_view key = std::string_view(option.key).substr(5);  // behind "data."
    if (key == "format" || option.text() == defaults.all()[i].text() || std::find(taken.begin(), taken.end(), key) != taken.end()) continue;
    std::string keys;
    for (const std::string_view name : taken) keys += " " + std::string(name);
    throw UsageError(option.key + " does nothing with data.format = " + format + ", which takes" + keys + "; remove it");
  }
}

void make_paths_absolute(DataOptions& o, const std::string& base) {
  const auto absolute = [&](std::string& path) {
    if (path.empty() || std::filesystem::path(path).is_absolute()) return;
    path = std::filesystem::absolute(std::filesystem::path(base) / path).lexically_normal().string();
  };
  for (std::string& file : o.file) absolute(file);
  for (std::string* path : {&o.dir, &o.labels, &o.test_file, &o.test_labels}) absolute(*path);
}

}  // namespace chorale
