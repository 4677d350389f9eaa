// Small CSV files that vanish, and whole tables read from them.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/csv_source.hpp>

namespace chorale {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "chorale-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

struct WholeTable {
  TablePlan plan;
  std::vector<std::vector<std::string>> cells;  // by row; "<missing>" where a value is missing
};

inline std::string cell_text(const ColumnChunk& column, std::size_t row) {
  if (column.numbers.empty()) return column.codes[row] < 0 ? "<missing>" : column.dictionary[static_cast<std::size_t>(column.codes[row])];
  if (column.numbers[row] != column.numbers[row]) return "<missing>";
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", column.numbers[row]);
  return text;
}

inline DataOptions options_for(const std::string& path) {
  DataOptions options;
  options.file = {path};
  return options;
}

/// Scans pieces in turns of `ranks`, exchanges states as bytes, and reads every piece.
inline WholeTable read_whole(const DataOptions& options, std::int64_t piece_bytes = 4 << 20, std::int64_t ranks = 1) {
  CsvSource source(options, {.piece_bytes = piece_bytes});
  std::vector<std::vector<std::byte>> states;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    ScanState mine;
    for (std::int64_t i = rank; i < source.pieces(); i += ranks) mine.merge(source.scan(i));
    states.push_back(mine.state());
  }
  ScanState all;
  for (auto bytes = states.rbegin(); bytes != states.rend(); ++bytes) all.merge(*bytes);
  WholeTable table{source.plan(all), {}};
  for (std::int64_t i = source.pieces(); i-- > 0;) {  // any order
    const TableChunk chunk = source.settle(i, source.read(i), table.plan);
    table.cells.resize(std::max(table.cells.size(), static_cast<std::size_t>(chunk.first_row + chunk.rows)));
    for (std::int64_t row = 0; row < chunk.rows; ++row)
      for (const ColumnChunk& column : chunk.columns)
        table.cells[static_cast<std::size_t>(chunk.first_row + row)].push_back(cell_text(column, static_cast<std::size_t>(row)));
  }
  return table;
}

/// The text of the DataError that reading ends with; "" when it ends well.
inline std::string data_error(const DataOptions& options, std::int64_t piece_bytes = 4 << 20) {
  try {
    read_whole(options, piece_bytes);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

}  // namespace chorale
