// CSV files, as they are and packed. What comes out does not depend on where the pieces are cut nor on the number of ranks.
#include <array>

#include <csv_fixture.hpp>
#include "engine.hpp"
#include "input_file.hpp"

namespace chorale::fuzz {

namespace {

constexpr std::array<std::string_view, 16> kWords = {"\"",         "\"\"",         "\n",       "\r\n",         ",",     ";",
                                                     "\t",         "\xef\xbb\xbf", "\xff\xfe", "\x1f\x8b\x08", "1e999", "nan",
                                                     "2020-02-30", "31.12.1999",   "\xc3\xbc", "\xed\xa0\x80"};

std::string result_of(const std::string& path, const std::string& bad_rows, std::int64_t piece_bytes, std::int64_t ranks,
                      std::string& cells) {
  DataOptions options = options_for(path);
  options.bad_rows = bad_rows;
  cells.clear();
  return answer_of<DataError>([&] {
    const WholeTable table = read_whole(options, piece_bytes, ranks);
    require(table.plan.rows == std::ssize(table.cells), "another number of rows than planned");
    for (const auto& row : table.cells) {
      require(row.size() == table.plan.schema.size(), "a row has another number of columns");
      for (const std::string& cell : row) cells += cell + '\x1f';
    }
  });
}

}  // namespace

std::span<const std::string_view> words() { return kWords; }

std::string answer_to(std::string_view input) {
  input = input.substr(0, 1 << 13);  // each is read four times
  const InputFile file(input);
  const std::int64_t small = std::max<std::int64_t>(7, std::ssize(input) / 8);
  std::string cells, other_cells;
  const std::string skipping = result_of(file.path(), "skip 100", 4 << 20, 1, cells);
  require(result_of(file.path(), "skip 100", small, 3, other_cells) == skipping && cells == other_cells,
          "pieces change the rows: " + skipping);
  const std::string answer = result_of(file.path(), "stop", 4 << 20, 1, cells);
  require(result_of(file.path(), "stop", small, 3, other_cells) == answer && cells == other_cells, "pieces change the rows: " + answer);
  require(answer != "accepted" || skipping == "accepted", "what is read whole cannot be read with rows left out");
  return answer;
}

}  // namespace chorale::fuzz
