// From what was seen to what the columns are, which rows are left out, and where every piece's rows lie in the table.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <chorale/core/data/data_options.hpp>
#include <chorale/core/data/infer_state.hpp>
#include <chorale/core/data/table.hpp>

namespace chorale {

/// What every rank needs to read any piece as all others do.
struct TablePlan {
  struct Piece {
    std::int64_t first_row = 0, rows = 0;
  };
  Schema schema;
  std::int64_t rows = 0;
  std::int64_t bad_rows = 0;  // left out
  std::vector<Piece> pieces;
  std::vector<std::string> bad_examples;  // the first few, with file:line:column
};

/// The type that the options give a column; drop and id columns are words, so that nothing in them can be wrong.
/// Throws UsageError for a column in two lists that contradict each other.
std::optional<ColumnType> declared_type(const DataOptions& options, const std::string& column);

/// Throws DataError for a column that a key of [data] names and the file does not have, with the nearest name. `header`: its
/// file:line:column.
void check_column_names(const DataOptions& options, const std::vector<std::string>& names, const std::string& header);

/// The types alone, never throws over values. An inferred column is a number (or a date) when all its values are; also when less than one
/// value in 1,000 is not, or a single one beside at least 20 that are: those are then bad rows, not the birth of a category.
/// `known`: where it is not empty, its columns are as it says and all others are words, so that nothing in them can be wrong.
Schema infer_schema(const std::vector<ColumnEvidence>& evidence, const std::vector<std::string>& names, const DataOptions& options,
                    const Schema& known = {});

/// "file:line:column" of a spot; knows where each piece's lines begin.
using Locate = std::function<std::string(const BadSpot&)>;

/// Types, rows and the decision over bad rows, from the merged state of all pieces. The same on every rank.
/// Throws DataError for the first bad row in file order, when more are bad than data.bad_rows allows, or when no row is left.
TablePlan infer_plan(const ScanState& state, const std::vector<std::string>& names, const DataOptions& options, const Locate& locate,
                     const Schema& known = {});

}  // namespace chorale
