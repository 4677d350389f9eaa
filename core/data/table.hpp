// Columns of one chunk of rows, as read, before any preprocessing. A table is a list of chunks; chunk borders come from the file, never
// from the ranks.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chorale {

enum class ColumnType : std::uint8_t { number, category, text, date };

/// "number", "category", "text", "date".
std::string_view name(ColumnType type);

/// Which part of a date is written first: 2011-12-31, 31.12.2011, 12/31/2011.
enum class DateOrder : std::uint8_t { ymd, dmy, mdy };

struct ColumnSchema {
  std::string name;
  ColumnType type = ColumnType::number;
  DateOrder date_order = DateOrder::ymd;
  std::string note = {};  // what a person should know about the choice; may be empty
  bool required = false;  // a row without a value here is a bad row: the target, the weight, what decides the part
};
using Schema = std::vector<ColumnSchema>;

/// Position of the column of that name, -1 when there is none.
int find_column(const Schema& schema, std::string_view name);

/// Values of one column: numbers (NaN is missing; dates are seconds since 1970) or codes into a dictionary of the chunk (-1 is missing).
/// Numbers and dates fill `numbers`; categories and texts fill `codes` and `dictionary`, which is in the order of first appearance.
struct ColumnChunk {
  std::vector<double> numbers;
  std::vector<std::int32_t> codes;
  std::vector<std::string> dictionary;
};

struct TableChunk {
  std::int64_t first_row = 0;  // number of this chunk's first row in the whole table
  std::int64_t rows = 0;
  std::vector<ColumnChunk> columns;  // as the schema's
};

/// Keeps the rows whose flag is not 0; dictionaries lose the words that no row uses any more.
void keep_rows(TableChunk& chunk, const std::vector<std::uint8_t>& keep);

}  // namespace chorale
