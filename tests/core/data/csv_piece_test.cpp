#include <catch2/catch.hpp>

#include <random>

#include "csv_fixture.hpp"

using namespace chorale;

namespace {

const char* const kNasty =
    "\xEF\xBB\xBFname,size,\"a \"\"note\"\"\",when\r\n"
    "\"Smith, \"\"Jo\"\"\",5,\"two\nlines\",2011-01-02\r\n"
    "\r\n"
    "5\" pipe,6,\"\",2011-01-03 10:20:30\n"
    "\"\"\"\",7,\"\"\"\"\"\"\"\",2011-02-03T04:05\n"
    "\xC3\xA9t\xC3\xA9,-1.5e3,\"\r\n\r\n\",?\n"
    "\n"
    "NA, 8 ,\"a,\"\"\nb,\"\"\n\",\n"
    "last,9,x\"y\"z,1970-01-01";

}  // namespace

TEST_CASE("a nasty file gives the same table whatever the size of the pieces and whoever reads them") {
  const TemporaryFolder folder;
  const DataOptions options = options_for(folder.write("nasty.csv", kNasty));
  const WholeTable whole = read_whole(options);
  REQUIRE(whole.plan.rows == 6);
  CHECK(whole.plan.schema[0].name == "name");
  CHECK(whole.plan.schema[2].name == "a \"note\"");
  CHECK(whole.plan.schema[1].type == ColumnType::number);
  CHECK(whole.plan.schema[3].type == ColumnType::date);
  CHECK(whole.cells[0] == std::vector<std::string>{"Smith, \"Jo\"", "5", "two\nlines", "1293926400"});
  CHECK(whole.cells[1] == std::vector<std::string>{"5\" pipe", "6", "<missing>", "1294050030"});
  CHECK(whole.cells[2] == std::vector<std::string>{"\"", "7", "\"\"\"", "1296705900"});
  CHECK(whole.cells[3] == std::vector<std::string>{"\xC3\xA9t\xC3\xA9", "-1500", "\r\n\r\n", "<missing>"});
  CHECK(whole.cells[4] == std::vector<std::string>{"<missing>", "8", "a,\"\nb,\"\n", "<missing>"});
  CHECK(whole.cells[5] == std::vector<std::string>{"last", "9", "x\"y\"z", "0"});
  for (std::int64_t bytes = 1; bytes < 260; ++bytes)
    for (std::int64_t ranks : {1, 3}) {
      INFO("pieces of " << bytes << " bytes, " << ranks << " ranks");
      const WholeTable cut = read_whole(options, bytes, ranks);
      REQUIRE(cut.cells == whole.cells);
      REQUIRE(cut.plan.rows == whole.plan.rows);
    }
}

TEST_CASE("random files of quotes, separators and line ends read alike in pieces of any size, errors included") {
  const TemporaryFolder folder;
  const unsigned seed = GENERATE(range(1u, 121u));
  std::mt19937 random(seed);
  std::string text = "a,b\n";
  const char* const bits[] = {"\"", "\"", ",", ",", "\n", "\n", "\r\n", "x", "7", "yy", "\"\"", "\xC3\xA9", " ", "z,z\n", "\"q\",\"r\"\n"};
  const int parts = static_cast<int>(random() % 300);
  for (int i = 0; i < parts; ++i) text += bits[random() % std::size(bits)];
  DataOptions options = options_for(folder.write("random.csv", text));
  options.separator = ",";
  options.bad_rows = seed % 2 ? "stop" : "skip 50";
  const std::string error = data_error(options);
  WholeTable whole;
  if (error.empty()) whole = read_whole(options);
  for (std::int64_t bytes : {1, 2, 3, 5, 7, 11, 16, 63, 64, 65, 100, 127}) {
    INFO("seed " << seed << ", pieces of " << bytes << " bytes, text:\n" << text);
    REQUIRE(data_error(options, bytes) == error);
    if (!error.empty()) continue;
    const WholeTable cut = read_whole(options, bytes, 2);
    REQUIRE(cut.cells == whole.cells);
    REQUIRE(cut.plan.bad_rows == whole.plan.bad_rows);
    REQUIRE(cut.plan.bad_examples == whole.plan.bad_examples);
  }
}

TEST_CASE("rows are numbered through pieces and files") {
  const TemporaryFolder folder;
  std::string a = "x\n", b = "x\n";
  for (int i = 0; i < 500; ++i) a += std::to_string(i) + "\n";
  for (int i = 500; i < 700; ++i) b += std::to_string(i) + "\r\n";
  folder.write("part-1.csv", a);
  folder.write("part-2.csv", b);
  const WholeTable table = read_whole(options_for(folder.path() + "/part-*.csv"), 97, 4);
  REQUIRE(table.plan.rows == 700);
  for (std::size_t i = 0; i < 700; ++i) REQUIRE(table.cells[i] == std::vector<std::string>{std::to_string(i)});
}

TEST_CASE("a file of many batches keeps every row, also when a guess of types breaks late") {
  const TemporaryFolder folder;
  std::string text = "id;value;late\n";
  for (int i = 0; i < 30000; ++i)
    text += std::to_string(i) + ";" + std::to_string(i * 0.25) + ";" + (i < 20000 ? std::to_string(i % 7) : "word") + "\n";
  const WholeTable table = read_whole(options_for(folder.write("big.csv", text)), 50000, 3);
  REQUIRE(table.plan.rows == 30000);
  CHECK(table.plan.schema[2].type == ColumnType::category);
  CHECK(table.cells[12345] == std::vector<std::string>{"12345", "3086.25", std::to_string(12345 % 7)});
  CHECK(table.cells[29999] == std::vector<std::string>{"29999", "7499.75", "word"});
}
