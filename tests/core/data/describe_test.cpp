#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "csv_fixture.hpp"

#include <chorale/core/data/describe.hpp>

using namespace chorale;

namespace {

std::string shop(int rows) {
  std::string text = "customer_id,age,city,note,always,born,bought\n";
  for (int i = 0; i < rows; ++i)
    text += std::to_string(1000 + i) + "," + (i % 10 ? std::to_string(20 + i % 50) + ".5" : "") + ",town" + std::to_string(i % 4) +
            ",\"sentence " + std::to_string(i) + ", which goes on and on and on for long\",1,199" + std::to_string(i % 10) + "-02-03," +
            (i % 3 ? "TRUE" : "FALSE") + "\n";
  return text;
}

const ColumnDescription& column_of(const DataDescription& d, const std::string& name) {
  for (const ColumnDescription& column : d.columns)
    if (column.name == name) return column;
  FAIL("no column " << name);
  return d.columns.front();
}

/// The recipe's values, read as the launcher does.
DataOptions data_of_recipe(const std::string& recipe, std::string& rest) {
  DataOptions options;
  OptionTable table;
  describe(table, options);
  std::istringstream in(recipe);
  std::string line, section;
  while (std::getline(in, line)) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '[') {
      section = line;
      continue;
    }
    const std::size_t equals = line.find('=');
    std::string key = line.substr(0, equals);
    key.erase(key.find_last_not_of(' ') + 1);
    if (section == "[data]")
      table.set("data." + key, line.substr(equals + 2));
    else
      rest += key + "=" + line.substr(equals + 2) + "\n";
  }
  return options;
}

}  // namespace

TEST_CASE("a description counts what is there") {
  const TemporaryFolder folder;
  for (std::int64_t bytes : {1 << 22, 1000}) {
    const DataDescription d = describe_data(options_for(folder.write("shop.csv", shop(100))), {.piece_bytes = bytes});
    CHECK(d.rows == 100);
    CHECK(d.read_seconds > 0);
    CHECK(d.target == "bought");
    const ColumnDescription& age = column_of(d, "age");
    CHECK(age.missing == 10);
    CHECK(age.different == 45);
    CHECK(age.min == 21.5);
    CHECK(age.max == 69.5);
    CHECK(age.mean == Approx(45.5).epsilon(1e-12));
    CHECK(age.examples == std::vector<std::string>{"21.5", "22.5", "23.5"});
    CHECK(column_of(d, "customer_id").role == "id");
    CHECK(column_of(d, "always").role == "constant");
    CHECK(column_of(d, "note").type == ColumnType::text);
    CHECK(column_of(d, "born").examples.front() == "1990-02-03");
    CHECK(column_of(d, "city").different == 4);
  }
}

TEST_CASE("the recipe names columns that exist, in lists that the option table takes") {
  const TemporaryFolder folder;
  const std::string path = folder.write("shop.csv", shop(400));
  std::string rest;
  DataOptions options = data_of_recipe(recipe_text(describe_data(options_for(path)), path), rest);
  CHECK(options.target == "bought");
  CHECK(options.id == std::vector<std::string>{"customer_id"});
  CHECK(options.drop == std::vector<std::string>{"note", "always"});
  CHECK(options.date == std::vector<std::string>{"born"});
  CHECK(options.categorical == std::vector<std::string>{"city"});
  CHECK(options.split == std::vector<std::string>{"stratified", "0.70", "0.15", "0.15"});
  CHECK(rest.find("loss=binary_cross_entropy\n") != std::string::npos);
  CHECK(rest.find("linear(1)\n") != std::string::npos);
  CHECK(read_whole(options).plan.rows == 400);
}

TEST_CASE("loss and last layer follow the target") {
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.write("shop.csv", shop(400)));
  options.target = "city";
  std::string recipe = recipe_text(describe_data(options), "shop.csv");
  CHECK(recipe.find("loss        = cross_entropy\n") != std::string::npos);
  CHECK(recipe.find(" linear(4)\n") != std::string::npos);
  options.target = "age";
  recipe = recipe_text(describe_data(options), "shop.csv");
  CHECK(recipe.find("loss        = mse\n") != std::string::npos);
  CHECK(recipe.find("random 0.70") != std::string::npos);
  options.target = "always";
  CHECK_THROWS_AS(recipe_text(describe_data(options), "shop.csv"), DataError);
  options.target = "bought";
  DataDescription bare = describe_data(options);
  std::erase_if(bare.columns, [](const ColumnDescription& c) { return c.name == "age" || c.name == "city" || c.name == "born"; });
  CHECK_THROWS_WITH(recipe_text(bare, "shop.csv"), Catch::Contains("nothing to learn from"));
  options.target = "bougt";
  CHECK_THROWS_WITH(describe_data(options), Catch::Contains("did you mean 'bought'?"));
}

TEST_CASE("a recipe says how the file had to be read") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::to_string(i % 9) + "~" + (i % 2 ? "yes" : "no") + "\n";
  DataOptions options = options_for(folder.write("bare.csv", text));
  options.header = false;
  options.separator = "~";
  options.missing = {"", "-"};
  std::string rest;
  const DataOptions back = data_of_recipe(recipe_text(describe_data(options), options.file.front()), rest);
  CHECK_FALSE(back.header);
  CHECK(back.separator == "~");
  CHECK(back.missing == std::vector<std::string>{"-"});
  CHECK(back.target == "c1");
  CHECK(read_whole(back).plan.rows == 100);
}

TEST_CASE("a description as JSON has its fields, and NaN is null") {
  const TemporaryFolder folder;
  const DataDescription d = describe_data(options_for(folder.write("shop.csv", shop(50))));
  const nlohmann::json json = nlohmann::json::parse(describe_json(d));
  CHECK(json["rows"] == 50);
  CHECK(json["read_seconds"].is_number());
  CHECK(json["columns"].size() == 7);
  CHECK(json["columns"][1]["missing"] == 5);
  CHECK(json["columns"][2]["type"] == "category");
  CHECK(json["columns"][2]["mean"].is_null());
  CHECK(json["columns"][2]["cardinality"] == 4);
  CHECK(describe_text(d).find("50 rows, 7 columns") != std::string::npos);
}

TEST_CASE("every key of [data] is declared once, with help") {
  DataOptions options;
  OptionTable table;
  describe(table, options);
  CHECK(table.all().size() == 49);
  for (const Option& option : table.all()) {
    CHECK(option.key.starts_with("data."));
    CHECK(option.help.size() > 15);
    CHECK(option.help.back() == (option.help.find('?') == option.help.size() - 1 ? '?' : '.'));
  }
  table.set("data.missing", "NA -999");
  CHECK(options.missing == std::vector<std::string>{"NA", "-999"});
  CHECK_THROWS_AS(table.set("data.scale", "standardize"), UsageError);
  CHECK_THROWS_AS(table.set("data.bins", "1"), UsageError);
}

TEST_CASE("a recipe keeps what the file was described with") {
  const TemporaryFolder folder;
  DataOptions options = options_for(folder.write("shop.csv", shop(400)));
  options.drop = {"city"};
  options.split = {"time", "born", "0.8", "0.2"};
  options.scale = "robust";
  options.min_frequency = 5;
  std::string rest;
  const DataOptions back = data_of_recipe(recipe_text(describe_data(options), options.file.front()), rest);
  CHECK(back.drop == std::vector<std::string>{"city", "note", "always"});
  CHECK(back.split == options.split);
  CHECK(back.scale == "robust");
  CHECK(back.min_frequency == 5);
}

TEST_CASE("a recipe lists names with blanks, and skips rows without a target") {
  const TemporaryFolder folder;
  std::string text = "Customer ID,the size,the answer\n";
  for (int i = 0; i < 200; ++i)
    text += std::to_string(1000 + i) + "," + (i % 3 ? "big" : "small") + "," + (i == 7 ? "" : i % 2 ? "yes" : "no") + "\n";
  std::string rest;
  const DataOptions back = data_of_recipe(recipe_text(describe_data(options_for(folder.write("my shop.csv", text))), "my shop.csv"), rest);
  CHECK(back.file == std::vector<std::string>{"my shop.csv"});
  CHECK(back.id == std::vector<std::string>{"Customer ID"});
  CHECK(back.categorical == std::vector<std::string>{"the size"});
  CHECK(back.target == "the answer");
  CHECK(back.bad_rows == "skip 1");
}
