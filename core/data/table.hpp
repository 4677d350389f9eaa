// Columns of one chunk of rows, as read, before any preprocessing. A table is a list of chunks; chunk borders come from the file, never from the ranks.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace chorale {

enum class ColumnType : std::uint8_t { number, category, text, date };

struct ColumnSchema {
  std::string name;
  ColumnType type = ColumnType::number;
};

/// Values of one column: numbers (NaN is missing; dates are seconds since 1970) or codes into a dictionary of the chunk (-1 is missing).
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

}  // namespace chorale
