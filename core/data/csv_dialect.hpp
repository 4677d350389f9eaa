// How a CSV file is written: its separator, its header, where its data begin.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/data/data_options.hpp>

namespace chorale {

struct CsvDialect {
  char separator = ',';
  std::vector<std::string> names;   // of the columns
  std::vector<std::string> places;  // file:line:column of each in the header, of the first value where there is none
  std::size_t data_begin = 0;       // first byte behind the header
  std::int64_t data_line = 1;       // its line
};

/// The text behind a byte order mark. Throws DataError for UTF-16, an empty file, or line ends that are lone carriage returns.
std::string_view readable_text(std::string_view bytes, const std::string& path);

/// Reads the header, after detecting the separator where it is "auto": the one of , ; tab | that most of the first records hold equally
/// often. `separator` other than 0 is a settled one, of an earlier file. Throws DataError for a bad header and for a file without data.
CsvDialect read_dialect(std::string_view text, const DataOptions& options, const std::string& path, char separator = 0);

/// The character that data.separator names, 0 for "auto". Throws UsageError for what cannot part fields.
char separator_of(const std::string& word);

/// How many bad rows may be skipped: 0 for "stop". Throws UsageError when data.bad_rows is neither "stop" nor "skip N".
std::int64_t bad_row_limit(const std::string& text);

}  // namespace chorale
