#include <catch2/catch.hpp>

#include <cmath>
#include <random>

#include "csv_fixture.hpp"

#include <chorale/core/data/csv_date.hpp>
#include <chorale/core/data/csv_number.hpp>

using namespace chorale;

namespace {

Schema schema_of(const std::string& text, DataOptions options = {}) {
  const TemporaryFolder folder;
  options.file = {folder.write("f.csv", text)};
  return read_whole(options, 64, 2).plan.schema;
}

std::string lines(const std::string& header, int rows, const std::function<std::string(int)>& row) {
  std::string text = header + "\n";
  for (int i = 0; i < rows; ++i) text += row(i) + "\n";
  return text;
}

double number_of(const std::string& text) {
  double value = -1;
  REQUIRE(read_number(text, value) == NumberRead::ok);
  return value;
}

NumberRead kind_of(const std::string& text) {
  double value = 0;
  return read_number(text, value);
}

double date_of(const std::string& text, DateOrder order = DateOrder::ymd) {
  const DateRead read = read_date(text);
  return read.fits[static_cast<std::size_t>(order)] ? read.seconds[static_cast<std::size_t>(order)] : NAN;
}

}  // namespace

TEST_CASE("numbers are the nearest double, as strtod reads them") {
  for (const char* text : {"0",
                           "-0.0",
                           "+5",
                           "1.",
                           ".5",
                           "17850",
                           "2.55",
                           "1e3",
                           "1E-3",
                           "9007199254740993",
                           "123456789012345678901234567890",
                           "1.7976931348623157e308",
                           "4.9e-324",
                           "2.2250738585072011e-308",
                           "0.1e-400",
                           "0.000000000000000000000000000001",
                           "1e23",
                           "8.5e22",
                           "3e-400",
                           "0e999999999999"}) {
    INFO(text);
    const double value = number_of(text);
    const double expected = std::strtod(text, nullptr);
    CHECK(value == expected);
    CHECK(std::signbit(value) == std::signbit(expected));
  }
  std::mt19937_64 random(7);  // the printed forms of random doubles, and random digits
  for (int i = 0; i < 20000; ++i) {
    char text[64];
    if (i % 2)
      std::snprintf(text, sizeof text, "%.*g", static_cast<int>(1 + random() % 17),
                    std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 200) - 160));
    else
      std::snprintf(text, sizeof text, "%llu.%llue%d", static_cast<unsigned long long>(random() >> (random() % 60)),
                    static_cast<unsigned long long>(random() >> (random() % 60)), static_cast<int>(random() % 60) - 30);
    INFO(text);
    REQUIRE(number_of(text) == std::strtod(text, nullptr));
  }
}

TEST_CASE("what is not a finite number is told apart") {
  for (const char* text : {"1e999", "-1e400", "179769313486231590000e300", "inf", "-Infinity", "NaN", "+nan"})
    CHECK(kind_of(text) == NumberRead::not_finite);
  for (const char* text : {"", "-", ".", "e5", "1e", "1e+", "0x10", "1,5", "1 2", "1_000", "12a", "--1", "infinit", "nano", "1.2.3"})
    CHECK(kind_of(text) == NumberRead::not_a_number);
}

TEST_CASE("dates are read in their three orders and checked against the calendar") {
  CHECK(date_of("1970-01-01") == 0);
  CHECK(date_of("2000-02-29") == 951782400);
  CHECK(date_of("1969-12-31T23:59:59Z") == -1);
  CHECK(date_of("2010/12/1 8:26") == 1291191960);
  CHECK(date_of("2010-12-01T08:26:00.250+01:00") == 1291188360.25);
  CHECK(date_of("31.12.2011", DateOrder::dmy) == 1325289600);
  CHECK(date_of("12/31/2011", DateOrder::mdy) == 1325289600);
  for (const char* text : {"2011-02-29", "2011-13-01", "2011-00-10", "2011-1", "31/12/11", "2011-12-31x", "2011-12-31 25:00",
                           "2011-12-31 10:61", "20111231", "12-2011", "2011-12/31", "1.2.3"})
    CHECK_FALSE(read_date(text).any());
  const DateRead both = read_date("03/04/2011");
  CHECK((both.fits[1] && both.fits[2] && !both.fits[0]));
  for (double seconds : {0.0, -1.0, 951782400.0, 1291191960.0, -62135596800.0, 253402300799.0})
    CHECK(date_of(date_text(seconds)) == seconds);
}

TEST_CASE("types follow the values") {
  const Schema s = schema_of(lines("n,bool,word,when,code,empty", 40, [](int i) {
    return std::to_string(i) + (i % 2 ? ",TRUE," : ",FALSE,") + "w" + std::to_string(i % 3) + "," + std::to_string(1 + i % 28) +
           "/5/2011," + (i % 5 ? "7" : "C7") + ",NA";
  }));
  CHECK(s[0].type == ColumnType::number);
  CHECK(s[1].type == ColumnType::category);
  CHECK(s[2].type == ColumnType::category);
  CHECK(s[3].type == ColumnType::date);
  CHECK(s[3].date_order == DateOrder::dmy);
  CHECK(s[4].type == ColumnType::category);
  CHECK(s[4].note.find("32 of 40 values are numbers") == 0);
  CHECK(s[5].type == ColumnType::number);
  CHECK(s[5].note == "no value in any row");
}

TEST_CASE("long texts that differ are text, and naming them makes them categories") {
  const std::string text =
      lines("t", 60, [](int i) { return "sentence number " + std::to_string(i) + " which is long enough to be prose"; });
  CHECK(schema_of(text)[0].type == ColumnType::text);
  DataOptions options;
  options.categorical = {"t"};
  CHECK(schema_of(text, options)[0].type == ColumnType::category);
}

TEST_CASE("declared types win over what the values look like") {
  DataOptions options;
  options.categorical = {"a"};
  options.date = {"d"};
  options.id = {"i"};
  options.drop = {"x"};
  const Schema s = schema_of("a,d,i,x\n1,2011-01-02,007,1e999\n2,,008,\n", options);
  CHECK(s[0].type == ColumnType::category);
  CHECK(s[1].type == ColumnType::date);
  CHECK(s[2].type == ColumnType::category);
  CHECK(s[3].type == ColumnType::category);
}

TEST_CASE("a missing word that is a number is missing") {
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.write("f.csv", "a,b\n1,x\n-999,-999\n \t,y\n"));
  options.missing = {"-999"};
  const WholeTable table = read_whole(options);
  CHECK(table.cells == std::vector<std::vector<std::string>>{{"1", "x"}, {"<missing>", "<missing>"}, {"<missing>", "y"}});
}

TEST_CASE("separators are found, and may be given") {
  CHECK(schema_of("a;b\n1,5;2\n3,5;4\n").size() == 2);
  CHECK(schema_of("a\tb\tc\n1\t2\t3\n").size() == 3);
  CHECK(schema_of("a|b\n1|\"x,|;\"\n").size() == 2);
  CHECK(schema_of("text\nhello there\nno, not me\nplain\nwords\n",
                  [] {
                    DataOptions o;
                    o.separator = "tab";
                    return o;
                  }())
            .size() == 1);
  DataOptions options;
  options.separator = ":";
  options.header = false;
  const Schema s = schema_of("1:a\n2:b\n", options);
  REQUIRE(s.size() == 2);
  CHECK(s[1].name == "c1");
}

TEST_CASE("different values are counted exactly while few, and alike in any order of merging") {
  Distinct few, left, right, all;
  for (std::uint64_t i = 0; i < 20000; ++i) few.add(hash_word(i % 12345));
  CHECK(few.is_exact());
  CHECK(few.count() == 12345);
  for (std::uint64_t i = 0; i < 300000; ++i) (i % 3 ? left : right).add(hash_word(i)), all.add(hash_word(i));
  CHECK_FALSE(all.is_exact());
  CHECK(std::abs(static_cast<double>(all.count()) - 300000) < 0.03 * 300000);  // five standard errors of 1 / sqrt(32768)
  Distinct merged = right;
  merged.add(left);
  left.add(right);
  CHECK(merged.hashes() == all.hashes());
  CHECK(left.hashes() == all.hashes());
}

TEST_CASE("a state survives its bytes, and damaged bytes are refused") {
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.write("f.csv", "a,b\n1,x\n2\nz,y\n"));
  options.bad_rows = "skip 3";
  CsvSource source(options, {.piece_bytes = 4});
  ScanState state;
  for (std::int64_t i = 0; i < source.pieces(); ++i) state.merge(source.scan(i));
  const std::vector<std::byte> bytes = state.state();
  CHECK(ScanState::from(bytes).state() == bytes);
  for (std::size_t n : {std::size_t{0}, std::size_t{5}, bytes.size() / 2, bytes.size() - 1})
    CHECK_THROWS_AS(ScanState::from(std::span(bytes).first(n)), InternalError);
}

TEST_CASE("files of one table must have the same header") {
  const TemporaryFolder folder;
  folder.write("p1.csv", "a,b\n1,2\n");
  folder.write("p2.csv", "a,c\n1,2\n");
  CHECK(data_error(options_for(folder.path() + "/p*.csv")).find("p2.csv:1:1: the columns of ") != std::string::npos);
}
