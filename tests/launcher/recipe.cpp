#include <catch2/catch.hpp>

#include <cstdio>
#include <fstream>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/private_folder.hpp>
#include <chorale/core/data/data_options.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/recipe.hpp>

using namespace chorale;

namespace {
const PrivateFolder& folder() {
  static const PrivateFolder made;
  return made;
}
const std::string kFile = folder().path() + "/recipe_test.ini";

std::int64_t batch_of(const std::string& text) {
  std::ofstream(kFile) << text;
  std::int64_t batch = 64;
  OptionTable table;
  table.add("train.batch", batch, "Rows of a step.", {.min = 1});
  read_recipe(kFile, table);
  return batch;
}
TEST_CASE("control characters of files are shown, never sent to the terminal") {
  CHECK(chorale::printable("a\x1b[2Jb\rc\n\tz\x7f") == "a\\x1b[2Jb\\x0dc\n\tz\\x7f");
  CHECK(chorale::printable("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
  CHECK(chorale::printable("\xc2\x9bm \xc2\xa9 \xc2") == "\\xc2\\x9bm \xc2\xa9 \\xc2");  // U+009B, a copyright sign, half a letter
  CHECK(chorale::printable("\x9b"
                           "2J \xe2\x82\xac \xe2\x82") == "\\x9b2J \xe2\x82\xac \\xe2\\x82");  // ESC [ of 8 bits, a euro, most of one
}

}  // namespace

TEST_CASE("a recipe sets keys by section and ignores comments") { CHECK(batch_of("# top\n[train]\nbatch = 32  # rows\n") == 32); }

TEST_CASE("a recipe that never ends is refused") {
  OptionTable table;
  CHECK_THROWS_WITH(read_recipe("/dev/zero", table), Catch::Contains("longer than 1 MiB"));
}

TEST_CASE("a refused recipe names file and line") {
  CHECK_THROWS_WITH(batch_of("[train]\nbatch = 0\n"), Catch::StartsWith(kFile + ":2: "));
  CHECK_THROWS_WITH(batch_of("[train]\nbatsh = 4\n"), Catch::Contains(":2: ") && Catch::Contains("did you mean 'train.batch'"));
  CHECK_THROWS_WITH(batch_of("[train]\nbatch = 4\nbatch = 5\n"), Catch::Contains(":3: ") && Catch::Contains("first in line 2"));
  CHECK_THROWS_WITH(batch_of("batch = 4\n"), Catch::Contains("before any [section]"));
  CHECK_THROWS_AS(batch_of(""), UsageError);
  CHECK_THROWS_WITH(batch_of(std::string("[train]\nbatch = 4\0x\n", 20)), Catch::Contains(":2: a control character"));
  CHECK_THROWS_WITH(batch_of("[train]\n" + std::string(2 << 20, '#')), Catch::Contains("longer than 1 MiB"));
}

TEST_CASE("a missing recipe is a usage error") {
  OptionTable table;
  CHECK_THROWS_AS(read_recipe("no_such.ini", table), UsageError);
}

namespace {
/// The text of data.target that a flag gives, written as a recipe and read again.
std::string read_back(const std::string& value) {
  std::string target, layers = "linear(1)";
  const auto declare = [&](OptionTable& table) {
    table.add("data.target", target, "A column.");
    table.add("model.layers", layers, "Layers.");
  };
  OptionTable flags, again;
  declare(flags);
  flags.set("data.target", value);
  std::ofstream(kFile) << resolved_recipe(flags);
  target = "not read";
  declare(again);
  read_recipe(kFile, again);
  return target;
}
}  // namespace

TEST_CASE("a text of a flag reads back from the resolved recipe as it was, # and quotes and blanks too") {
  for (const char* value : {"plain", "a#b", "Customer #", "# of items", "a #b \" c", "\"quoted\"", "\"", "\"a\" \"b\"", "\"a\"b\"",
                            " padded ", "tab\t#x", "5\" disk", "5\" #disk", "\"\"", "\"\"\"", "[train]", "x = y", "#", ""})
    CHECK(read_back(value) == value);
}

TEST_CASE("a text in quotes is the text inside, and a word of a list stays one word") {
  std::string target;
  std::ofstream(kFile) << "[data]\ntarget = \"Customer # of \"\"5\"\"\"  # the column\n";
  OptionTable table;
  table.add("data.target", target, "A column.");
  read_recipe(kFile, table);
  CHECK(target == "Customer # of \"5\"");
}

TEST_CASE("a flag cannot put a second line into a recipe") {
  std::string target, folder;
  OptionTable table;
  table.add("data.target", target, "A column.");
  table.add("run-dir", folder, "A path, which no recipe holds.");
  CHECK_THROWS_WITH(table.set("data.target", "y\n[train]\nlr = 5"), Catch::Contains("data.target") && Catch::Contains("control character"));
  CHECK(target.empty());
  table.set("run-dir", "a\nb");
  CHECK(folder == "a\nb");
}

TEST_CASE("a # inside quotes is no comment") {
  std::ofstream(kFile) << "[data]\ndrop = \"a # b\" c  # two columns\n";
  std::vector<std::string> drop;
  OptionTable table;
  table.add("data.drop", drop, "Columns.");
  read_recipe(kFile, table);
  CHECK(drop == std::vector<std::string>{"a # b", "c"});
}

TEST_CASE("a setting of data that cannot be is refused where it is written") {
  for (const char* line : {"split = thirds", "split = random 0.5 0.2", "memory = much", "bad_rows = maybe", "separator = ||"}) {
    std::ofstream(kFile) << "[data]\n" << line << "\n";
    DataOptions data;
    OptionTable table;
    describe(table, data);
    CHECK_THROWS_WITH(read_recipe(kFile, table), Catch::StartsWith(kFile + ":2: data."));
  }
}
