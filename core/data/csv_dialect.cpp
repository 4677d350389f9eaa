#include <chorale/core/data/csv_dialect.hpp>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/core/data/csv_split.hpp>

namespace chorale {

namespace {

// The records behind a header of a row names column, or a title, may differ: so the most frequent count wins, not the first.
std::pair<std::size_t, std::size_t> agreement(std::string_view text, char separator) {
  std::unordered_map<std::size_t, std::size_t> seen;
  std::vector<std::string_view> fields;
  std::size_t at = 0, records_read = 0;
  for (; records_read < 32 && at < text.size() && at < (1u << 20); ++records_read) {
    at = split_record(text, at, separator, fields);
    if (fields.size() > 1) ++seen[fields.size()];
  }
  std::pair<std::size_t, std::size_t> best{0, 0};  // records that agree, fields
  for (const auto& [count, records] : seen) best = std::max(best, {records, count});
  return 2 * best.first > records_read ? best : std::pair<std::size_t, std::size_t>{0, 0};  // commas in a few sentences part nothing
}

char detect_separator(std::string_view text) {
  char best = ',';
  std::pair<std::size_t, std::size_t> most{0, 0};
  for (char candidate : {',', ';', '\t', '|'})
    if (const auto found = agreement(text, candidate); found > most) most = found, best = candidate;
  return best;
}

std::vector<std::string> field_places(const std::vector<std::string_view>& fields, const std::string& path, std::int64_t line,
                                      const char* line_begin) {
  std::vector<std::string> places;
  for (const std::string_view& field : fields)
    places.push_back(path + ":" + std::to_string(line) + ":" + std::to_string(field.data() - line_begin + 1));
  return places;
}

std::vector<std::string> header_names(const std::vector<std::string_view>& fields, const std::vector<std::string>& places) {
  std::vector<std::string> names;
  std::unordered_map<std::string, std::size_t> seen;
  std::string scratch;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string& where = places[i];
    if (first_unreadable(fields[i]) != std::string_view::npos)
      throw DataError(where + ": a column name in UTF-8 was expected, here are other bytes or a NUL; convert the file (iconv -t UTF-8)");
    std::string name(field_value(fields[i].data(), fields[i].data() + fields[i].size(), scratch));
    if (name.empty()) name = std::to_string(i).insert(0, 1, 'c');  // an index column written without a name
    const auto [first, fresh] = seen.emplace(name, i);
    if (!fresh)
      throw DataError(where + ": different column names were expected, '" + excerpt(name) + "' is the name of columns " +
                      std::to_string(first->second + 1) + " and " + std::to_string(i + 1) +
                      "; rename one, or set data.header = false if the first line is data");
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

char separator_of(const std::string& word) {
  if (word == "auto") return 0;
  if (word == "tab" || word == "\\t") return '\t';
  if (word.size() == 1 && static_cast<unsigned char>(word[0]) < 128 && word[0] != '"' && word[0] != '\n' && word[0] != '\r') return word[0];
  throw UsageError("data.separator = " + word +
                   " is refused: expected auto, tab, or one ASCII character that is neither a quote nor a line end");
}

std::string_view readable_text(std::string_view bytes, const std::string& path) {
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF"))
    throw DataError(path + ":1:1: UTF-8 was expected, this is UTF-16; convert the file (iconv -f UTF-16 -t UTF-8)");
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (bytes.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw DataError(path + ":1:1: a header and rows were expected, the file is empty");
  const std::string_view head = bytes.substr(0, 1 << 16);
  if (head.find('\n') == std::string_view::npos && head.find('\r') < head.size() - 1 && bytes.find('\n') == std::string_view::npos)
    throw DataError(path + ":1:" + std::to_string(head.find('\r') + 1) +
                    ": lines that end in LF or CRLF were expected, here they end in a lone CR; convert the file (tr '\\r' '\\n')");
  return bytes;
}

CsvDialect read_dialect(std::string_view text, const DataOptions& options, const std::string& path, char separator) {
  CsvDialect dialect;
  dialect.separator = separator ? separator : separator_of(options.separator);
  if (!dialect.separator) dialect.separator = detect_separator(text);
  std::size_t begin = 0;
  while (text.substr(begin).starts_with("\n") || text.substr(begin).starts_with("\r\n"))
    begin = text.find('\n', begin) + 1, ++dialect.data_line;
  std::vector<std::string_view> fields;
  const std::size_t next = split_record(text, begin, dialect.separator, fields);
  const std::string here = path + ":" + std::to_string(dialect.data_line) + ":1: ";
  if (next - begin > static_cast<std::size_t>(kMaxRecordBytes))
    throw DataError(
        here +
        "a first record of at most 8388608 bytes was expected, this one is longer; is a quote not closed, or is this not a CSV file?");
  dialect.places = field_places(fields, path, dialect.data_line, text.data() + begin);
  if (!options.header) {
    for (std::size_t i = 0; i < fields.size(); ++i) dialect.names.push_back(std::to_string(i).insert(0, 1, 'c'));
    dialect.data_begin = begin;
    return dialect;
  }
  if (!fields.back().empty() && fields.back().front() == '"' && (fields.back().size() < 2 || fields.back().back() != '"'))
    throw DataError(here + "a header was expected, but a quote in it is not closed");
  dialect.names = header_names(fields, dialect.places);
  dialect.data_line +=
      std::count(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(next), '\n');
  dialect.data_begin = next;
  if (text.find_first_not_of("\r\n", next) == std::string_view::npos)
    throw DataError(path + ":" + std::to_string(dialect.data_line) +
                    ":1: rows were expected, the file ends behind its header; if its first line is data, set data.header = false");
  return dialect;
}

std::int64_t bad_row_limit(const std::string& text) {
  if (text == "stop") return 0;
  std::int64_t limit = 0;
  if (text.starts_with("skip ")) {
    const char* begin = text.data() + text.find_first_not_of(' ', 4);
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), limit);
    if (error == std::errc() && end == text.data() + text.size() && limit >= 1 && limit <= 1000000) return limit;
  }
  throw UsageError("data.bad_rows = " + text + " is refused: expected stop, or skip N with N from 1 to 1000000");
}

}  // namespace chorale
