// chorale data shop | features | describe
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/describe.hpp>
#include <chorale/core/data/generated_features.hpp>
#include <chorale/core/data/shop.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/session.hpp>
#include <chorale/train/data/prepare.hpp>

namespace chorale {

namespace {

struct Words {
  std::int64_t customers = 4000, products = 500, sessions = 20000, seed = 7, rows = 10000, features = 100;
  std::string out, target, write_recipe;
  bool overwrite = false, json = false;
};

void describe_shop(OptionTable& t, Words& w) {
  t.add("customers", w.customers, "Customers.", {.min = 1, .max = 1e9});
  t.add("products", w.products, "Products.", {.min = 1, .max = 1e9});
  t.add("sessions", w.sessions, "Sessions.", {.min = 1, .max = 1e9});
  t.add("seed", w.seed, "Equal seeds give equal files.", {.min = 0, .max = 1e15});
  t.add("out", w.out, "Folder to write.");
  t.add("overwrite", w.overwrite, "Replace a folder that is not empty.");
}

void describe_features(OptionTable& t, Words& w) {
  t.add("rows", w.rows, "Rows.", {.min = 1, .max = 1e9});
  t.add("features", w.features, "Columns beside the label y.", {.min = 1, .max = 1e6});
  t.add("seed", w.seed, "Equal seeds give equal files.", {.min = 0, .max = 1e15});
  t.add("out", w.out, "File to write.");
}

void describe_describe(OptionTable& t, Words& w, DataOptions& data) {
  t.add("json", w.json, "One object.");
  t.add("target", w.target, "The column to predict, for --write-recipe; guessed when absent.");
  t.add("write-recipe", w.write_recipe, "Write a recipe that trains on this file.");
  describe(t, data);
}

int shop(std::span<const std::string> words) {
  Words w;
  OptionTable table;
  describe_shop(table, w);
  read_flags(words, table, 0);
  if (w.out.empty()) throw UsageError("data shop needs --out DIR");
  ConsoleLog log(0);
  generate_shop({.customers = w.customers,
                 .products = w.products,
                 .sessions = w.sessions,
                 .seed = static_cast<std::uint64_t>(w.seed),
                 .out = w.out,
                 .overwrite = w.overwrite},
                log);
  return 0;
}

int features(std::span<const std::string> words) {
  Words w;
  OptionTable table;
  describe_features(table, w);
  read_flags(words, table, 0);
  if (w.out.empty()) throw UsageError("data features needs --out FILE");
  generate_features(w.rows, w.features, static_cast<std::uint64_t>(w.seed), w.out);
  std::printf("wrote %s\n", printable(w.out).c_str());
  return 0;
}

int describe_file(std::span<const std::string> words) {
  Words w;
  DataOptions data;
  OptionTable table;
  describe_describe(table, w, data);
  const std::vector<std::string> files = read_flags(words, table, 64);
  if (files.empty() && data.file.empty()) throw UsageError("data describe needs a file");
  data.file.insert(data.file.end(), files.begin(), files.end());
  if (!w.target.empty()) data.target = w.target;
  check_taken(data, data.format, table_keys());
  const DataDescription description = describe_data(data);
  if (!w.write_recipe.empty()) {
    std::string name = data.file[0];
    write_file_atomically(w.write_recipe, recipe_text(description, std::filesystem::absolute(name).string()));
  }
  std::fputs((w.json ? describe_json(description) + "\n" : printable(describe_text(description))).c_str(), stdout);
  if (!w.write_recipe.empty() && !w.json)
    std::printf("wrote %s; train with: chorale train %s\n", printable(w.write_recipe).c_str(), printable(w.write_recipe).c_str());
  return 0;
}

}  // namespace

int run_data(std::span<const std::string> arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  if (what == "shop") return shop(arguments.subspan(1));
  if (what == "features") return features(arguments.subspan(1));
  if (what == "describe") return describe_file(arguments.subspan(1));
  throw UsageError("data takes shop, features or describe, got '" + what + "'");
}

std::string data_options() {
  Words w;
  DataOptions data;
  OptionTable a, b, c;
  describe_shop(a, w);
  describe_features(b, w);
  describe_describe(c, w, data);
  return "\ndata shop:\n" + help_text(a) + "\ndata features:\n" + help_text(b) + "\ndata describe FILE:\n" + help_text(c);
}

}  // namespace chorale
