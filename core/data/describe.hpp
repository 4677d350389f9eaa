// What a file holds, for people, for scripts, and as a recipe to begin with.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <chorale/core/data/csv_source.hpp>
#include <chorale/core/data/data_options.hpp>
#include <chorale/core/data/table.hpp>

namespace chorale {

struct ColumnDescription {
  std::string name;
  ColumnType type = ColumnType::number;
  std::int64_t missing = 0;
  std::int64_t different = 0;         // values
  bool different_is_exact = true;     // below 32768; else an estimate within a few percent
  double min = 0, mean = 0, max = 0;  // of numbers and dates (seconds since 1970); NaN where there is none
  bool whole = false;                 // all numbers are integers
  std::vector<std::string> examples;  // the first three different ones
  std::string role;                   // "id", "constant" or "" for a feature or target
  std::string note;                   // why the type was chosen, where that is not obvious
};

struct DataDescription {
  DataOptions options;  // as it was read
  std::vector<std::string> files;
  std::string separator;
  std::int64_t bytes = 0;     // unpacked
  std::int64_t rows = 0;      // without bad ones
  std::int64_t bad_rows = 0;  // left out by data.bad_rows
  std::vector<std::string> bad_examples;
  double read_seconds = 0;  // opening, unpacking, parsing and choosing types; not the statistics below
  std::vector<ColumnDescription> columns;
  std::string target;  // as named, else the guess: the last column that can be predicted; "" when there is none
};

/// Reads the whole file, one piece in memory at a time. Throws DataError as reading does, and for a named target that the file does not
/// have.
DataDescription describe_data(const DataOptions& options, const CsvSettings& settings = {});

/// A table for the terminal.
std::string describe_text(const DataDescription& description);
/// One object with the fields above; NaN is null.
std::string describe_json(const DataDescription& description);

/// A recipe that trains: ids kept aside, constants and free text dropped, loss and last layer by the target.
/// `file` is what the recipe calls the file. Throws DataError when no column can be a target.
std::string recipe_text(const DataDescription& description, const std::string& file);

}  // namespace chorale
