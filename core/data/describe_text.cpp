#include <algorithm>
#include <cmath>
#include <cstdio>

#include <chorale/core/data/csv_date.hpp>
#include <chorale/core/data/describe.hpp>

namespace chorale {

namespace {

std::string printed(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// 541909 as 541,909.
std::string grouped(std::int64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::size_t letters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// At most `most` letters, never half a UTF-8 one; line ends become blanks.
std::string shortened(const std::string& text, std::size_t most) {
  std::string out;
  std::size_t taken = 0;
  for (char c : text) {
    const bool starts = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (starts && taken++ == most) return out + "...";
    out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return out;
}

std::string value_text(const ColumnDescription& column, double value) {
  if (std::isnan(value)) return "";
  return column.type == ColumnType::date ? date_text(value).substr(0, 10) : printed("%.6g", value);
}

std::vector<std::string> cells_of(const ColumnDescription& column, const std::string& target) {
  std::string examples;
  for (const std::string& example : column.examples) examples += (examples.empty() ? "" : ", ") + shortened(example, 20);
  const std::string role = column.name == target ? "target" : column.role;
  const std::string mean = column.type == ColumnType::date ? "" : value_text(column, column.mean);
  return {shortened(column.name, 28),
          std::string(name(column.type)),
          role,
          grouped(column.missing),
          (column.different_is_exact ? "" : "about ") + grouped(column.different),
          value_text(column, column.min),
          mean,
          value_text(column, column.max),
          examples};
}

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], letters(row[i]));
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - letters(row[i]), ' ');
      const bool right = i >= 3 && i <= 7;
      line += right ? pad + row[i] + "  " : row[i] + pad + "  ";
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace

std::string describe_text(const DataDescription& d) {
  std::string text = shortened(d.files.front(), 200);
  if (d.files.size() > 1) text += " and " + std::to_string(d.files.size() - 1) + " more";
  const double megabytes = static_cast<double>(d.bytes) / 1e6;
  text.append(": ").append(grouped(d.rows)).append(" rows, ").append(std::to_string(d.columns.size())).append(" columns, separator ");
  text.append(d.separator).append(printed(", %.1f MB", megabytes)).append(printed(" read in %.3f s", d.read_seconds));
  if (d.read_seconds > 0) text += printed(" (%.0f MB/s)", megabytes / d.read_seconds);
  text += "\n";
  if (d.bad_rows > 0) text += grouped(d.bad_rows) + " bad rows left out, such as " + d.bad_examples.front() + "\n";
  std::vector<std::vector<std::string>> rows = {{"column", "type", "role", "missing", "different", "min", "mean", "max", "examples"}};
  for (const ColumnDescription& column : d.columns) rows.push_back(cells_of(column, d.target));
  text.append("\n").append(aligned(rows));
  for (const ColumnDescription& column : d.columns)
    if (!column.note.empty()) text.append("\n").append(column.name).append(": ").append(column.note);
  return text.back() == '\n' ? text : text + "\n";
}

}  // namespace chorale
