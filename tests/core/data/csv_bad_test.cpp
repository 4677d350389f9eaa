#include <catch2/catch.hpp>

#include <functional>

#include <sys/stat.h>

#include "csv_fixture.hpp"

using namespace chorale;

namespace {

// The error without the folder's name.
std::string error_of(const std::string& content, const std::string& bad_rows = "stop", DataOptions options = {}) {
  const TemporaryFolder folder;
  options.file = {folder.write("f.csv", content)};
  options.bad_rows = bad_rows;
  std::string text = data_error(options);
  for (std::int64_t bytes : {3, 50}) CHECK(data_error(options, bytes) == text);
  if (text.starts_with(folder.path())) text = text.substr(folder.path().size() + 1);
  return text;
}

bool begins(const std::string& text, const std::string& start) {
  INFO(text);
  CHECK(text.substr(0, start.size()) == start);
  return true;
}

DataOptions numeric(const std::string& column) {
  DataOptions options;
  options.numeric = {column};
  return options;
}

std::string column_of(int rows, const std::string& value) {
  std::string text;
  for (int i = 0; i < rows; ++i) text += value + "\n";
  return text;
}

}  // namespace

TEST_CASE("bad input is named by file, line and column") {
  begins(error_of("a,b\n1,2\n3\n"),
         "f.csv:3:1: a record of 2 fields was expected, this one has 1; or skip and count such rows with data.bad_rows");
  begins(error_of("a,b\n1,2\n\n3,4,5\n"), "f.csv:4:1: a record of 2 fields was expected, this one has 3");
  begins(error_of("a,b\n\"x\ny\",2\n3,\"4\n5,6\n"), "f.csv:4:3: the quote that opens here is not closed before the end of the file");
  begins(error_of("a,b\n1,\"2\"3\n"), "f.csv:2:6: a separator or the line's end was expected behind a closing quote");
  begins(error_of(std::string("a,b\n1,x\n2,y\0z\n", 15)), "f.csv:3:4: text was expected, here is a NUL byte");
  begins(error_of("a,b\n1,x\n2,\xFFz\n"), "f.csv:3:3: UTF-8 was expected");
  begins(error_of("a,b\n1,x\n2,\xC3"), "f.csv:3:3: UTF-8 was expected");
  begins(error_of("a\n" + column_of(30, "1") + "1e999\n2\n"),
         "f.csv:32:1: a number was expected in column 'a', here is '1e999', beyond the range of a double");
  begins(error_of("a,b\n1,2\n2,NaN0\n", "stop", numeric("b")), "f.csv:3:3: a number was expected in column 'b', here is 'NaN0'; mend it");
  begins(error_of("a,b\n1,2\n2,NAN\n", "stop", numeric("b")), "f.csv:3:3: a number was expected in column 'b', here is 'NAN'");
  begins(error_of("a\n" + column_of(1500, "12") + "oops\n"), "f.csv:1502:1: a number was expected in column 'a', here is 'oops'");
  begins(error_of("d\n" + column_of(30, "2011-01-02") + "2011-02-30\n"),
         "f.csv:32:1: a date was expected in column 'd', here is '2011-02-30'");
}

TEST_CASE("a file that cannot be a table is refused at once") {
  begins(error_of(""), "f.csv:1:1: a header and rows were expected, the file is empty");
  begins(error_of("\n \n"), "f.csv:1:1: a header and rows were expected, the file is empty");
  begins(error_of("a,b\n"), "f.csv:2:1: rows were expected, the file ends behind its header");
  begins(error_of("a,b,a\n1,2,3\n"), "f.csv:1:5: different column names were expected, 'a' is the name of columns 1 and 3");
  begins(error_of("a,b\r1,2\r3,4\r"), "f.csv:1:4: lines that end in LF or CRLF were expected");
  begins(error_of(std::string("\xFF\xFE") + "a"), "f.csv:1:1: UTF-8 was expected, this is UTF-16");
  CHECK(data_error(options_for("/nowhere/at all.csv")) ==
        "/nowhere/at all.csv: No such file or directory; data.file must name a readable file (relative to the recipe)");
  CHECK(data_error(options_for("/nowhere/*.csv")) == "/nowhere/*.csv: no file matches this glob of data.file");
  CHECK(data_error(options_for("/tmp")).find("is not a regular file") != std::string::npos);
}

TEST_CASE("a record of 10 MB is refused, or skipped where its end is certain") {
  const std::string long_line(10 << 20, 'x');
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.write("f.csv", "a,b\n1,2\n3," + long_line + "\n5,6\n"));
  CHECK(data_error(options).find("f.csv:3:1: a record of at most 8388608 bytes was expected, this one has 10485762") != std::string::npos);
  options.bad_rows = "skip 1";
  const WholeTable table = read_whole(options, 1 << 20, 2);
  CHECK(table.plan.bad_rows == 1);
  CHECK(table.cells == std::vector<std::vector<std::string>>{{"1", "2"}, {"5", "6"}});
  options.file = {folder.write("g.csv", "a,b\n1,2\n3,\"" + long_line + "\n5,6\n")};
  CHECK(data_error(options, 1 << 20).find("g.csv:3:3: the quote that opens here is not closed within 8388608 bytes") != std::string::npos);
  options.file = {folder.write("h.csv", "a,b\n1,2\n" + std::string(9 << 20, ',') + "\n5,6\n")};
  CHECK(read_whole(options).plan.rows == 2);
}

TEST_CASE("bad rows are skipped and counted up to the limit, wherever the pieces are cut") {
  const TemporaryFolder folder;
  std::string text = "a,b\n";
  for (int i = 0; i < 2000; ++i)
    text += std::to_string(i) + (i % 500 == 7 ? ",x,y\n" : i == 1200 ? ",1e999\n" : i == 1201 ? ",\xFF\n" : ",1\n");
  DataOptions options = options_for(folder.write("f.csv", text));
  options.bad_rows = "skip 6";
  for (std::int64_t bytes : {17, 1000, 1 << 20}) {
    const WholeTable table = read_whole(options, bytes, 3);
    CHECK(table.plan.bad_rows == 6);
    CHECK(table.plan.rows == 1994);
    CHECK(table.cells[7] == std::vector<std::string>{"8", "1"});
    CHECK(table.cells[1993] == std::vector<std::string>{"1999", "1"});
    CHECK(table.plan.bad_examples.size() == 5);
  }
  options.bad_rows = "skip 5";
  const std::string error = data_error(options);
  INFO(error);
  CHECK(error.find("f.csv:9:1: a record of 2 fields was expected, this one has 3; more than the 5 bad rows") != std::string::npos);
  CHECK(error.find("f.csv:1509:1") != std::string::npos);
  for (std::int64_t bytes : {17, 1000}) CHECK(data_error(options, bytes) == error);
}

TEST_CASE("a word that only a skipped row holds is not in the dictionary") {
  const TemporaryFolder folder;
  std::string text = "n,word\n";
  for (int i = 0; i < 40; ++i) text += "1,common\n";
  text += "oops,ghost\n2,last\n";
  DataOptions options = options_for(folder.write("f.csv", text));
  options.bad_rows = "skip 1";
  CsvSource source(options);
  const TablePlan plan = source.plan(source.scan(0));
  CHECK(source.parse(0, plan).columns[1].dictionary == std::vector<std::string>{"common", "last"});
}

TEST_CASE("data.bad_rows and named columns are checked") {
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.write("f.csv", "age,b\n1,2\n"));
  for (const char* word : {"skip", "skip x", "skip -1", "skip 0", "all"}) {
    options.bad_rows = word;
    CHECK_THROWS_AS(CsvSource(options), UsageError);
  }
  options.bad_rows = "stop";
  options.categorical = {"aeg"};
  CHECK(data_error(options).find(":1:1: data.categorical names column 'aeg', which the file does not have; did you mean 'age'?") !=
        std::string::npos);
  options.categorical = {"age"};
  options.numeric = {"age"};
  CHECK_THROWS_AS(CsvSource(options), UsageError);
  options.numeric = {};
  options.separator = "||";
  CHECK_THROWS_AS(CsvSource(options), UsageError);
}

TEST_CASE("a row without a target, a weight or what decides its part is a bad row") {
  DataOptions options;
  options.target = "y";
  begins(error_of("x,y\n1,a\n2,\n3,b\n", "stop", options), "f.csv:3:3: a value was expected in column 'y'");
  options.weight = "x";
  begins(error_of("x,y\n1,a\n,b\n", "stop", options), "f.csv:3:1: a value was expected in column 'x'");
  options.weight = "";
  options.split = {"group", "x", "0.5", "0.5"};
  begins(error_of("x,y\n1,a\n2,\n,b\n", "skip 1", options), "f.csv:3:3: a value was expected in column 'y'");
  const TemporaryFolder folder;
  options.file = {folder.write("f.csv", "x,y\n1,a\n2,\n,b\n4,c\n")};
  options.bad_rows = "skip 2";
  for (std::int64_t bytes : {3, 50}) {
    const WholeTable table = read_whole(options, bytes, 2);
    CHECK(table.plan.bad_rows == 2);
    CHECK(table.cells == std::vector<std::vector<std::string>>{{"1", "a"}, {"4", "c"}});
  }
}

TEST_CASE("nan is no number and no missing value unless data.missing says so") {
  const std::string text = "x\n" + column_of(30, "1") + "nan\n";
  begins(error_of(text), "f.csv:32:1: a number was expected in column 'x', here is 'nan'; mend it, add it to data.missing");
  DataOptions options;
  options.missing = {"nan"};
  CHECK(error_of(text, "stop", options).empty());
}

TEST_CASE("a column that no file has is bad data, whichever key names it") {
  const TemporaryFolder folder;
  const std::string path = folder.write("f.csv", "age,b\n1,2\n");
  const auto refused = [&](const std::function<void(DataOptions&)>& name_it) {
    DataOptions options = options_for(path);
    name_it(options);
    CHECK_THAT(data_error(options), Catch::StartsWith(path + ":1:1: ") && Catch::Contains("did you mean 'age'?"));
  };
  refused([](DataOptions& o) { o.target = "agee"; });
  refused([](DataOptions& o) { o.weight = "agee"; });
  refused([](DataOptions& o) { o.split = {"time", "agee", "0.5", "0.5"}; });
  refused([](DataOptions& o) { o.robust = {"agee"}; });
  refused([](DataOptions& o) { o.hashing = {"agee"}; });
}

TEST_CASE("a pipe or a folder is refused at once") {
  const TemporaryFolder folder;
  const std::string pipe = folder.path() + "/pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  for (const std::string& path : {pipe, folder.path()})
    CHECK_THAT(data_error(options_for(path)), Catch::StartsWith(path + ": is not a regular file"));
}
