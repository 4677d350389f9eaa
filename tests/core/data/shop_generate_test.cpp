#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/generated_features.hpp>
#include <chorale/core/data/shop.hpp>
#include <chorale/core/data/shop_tables.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("chorale_shop_" + std::to_string(::getpid()));
  Folder() { fs::remove_all(path), fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Labels of the last column, as a reader of the file sees them.
std::vector<int> last_column(const std::string& text) {
  std::vector<int> values;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) values.push_back(line.back() - '0');
  return values;
}

}  // namespace

TEST_CASE("the same seed gives the same shop byte for byte, another seed another shop") {
  Folder folder;
  SilentLog log;
  ShopOptions options{.customers = 300, .products = 40, .sessions = 1000, .seed = 7, .out = folder.path / "a"};
  generate_shop(options, log);
  options.out = folder.path / "b";
  generate_shop(options, log);
  options.out = folder.path / "c";
  options.seed = 8;
  generate_shop(options, log);
  for (const char* name : {"customers.csv", "products.csv", "sessions.csv", "orders.csv", "deliveries.csv", "coupons.csv", "truth.json"}) {
    CHECK(read(folder.path / "a" / name) == read(folder.path / "b" / name));
    CHECK(read(folder.path / "a" / name) != read(folder.path / "c" / name));
  }
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 3);  // nothing half-written is left
}

TEST_CASE("sizes are honoured and every purchase has its order") {
  const ShopTables tables = draw_shop({.customers = 300, .products = 40, .sessions = 1000, .seed = 7, .out = {}});
  CHECK(std::count(tables.customers.begin(), tables.customers.end(), '\n') == 301);
  CHECK(std::count(tables.products.begin(), tables.products.end(), '\n') == 41);
  CHECK(std::count(tables.sessions.begin(), tables.sessions.end(), '\n') == 1001);
  const auto& bought = tables.tasks[0].label;
  CHECK(std::count(tables.orders.begin(), tables.orders.end(), '\n') == 1 + std::count(bought.begin(), bought.end(), 1));
  CHECK(last_column(tables.sessions) == tables.tasks[0].label);
  CHECK(last_column(tables.customers) == tables.tasks[1].label);
  CHECK(last_column(tables.orders) == tables.tasks[2].label);
  CHECK(std::count(tables.deliveries.begin(), tables.deliveries.end(), '\n') == 1001);
  CHECK(last_column(tables.deliveries) == tables.tasks[3].label);
  CHECK(std::count(tables.coupons.begin(), tables.coupons.end(), '\n') == 501);
  CHECK(last_column(tables.coupons) == tables.tasks[4].label);
}

TEST_CASE("labels follow the true and both attainable probabilities") {
  for (const ShopTask& task : draw_shop({.seed = 7, .out = {}}).tasks)
    for (const auto* probability : {&task.probability, &task.attainable, &task.shared})
      for (double low = 0; low < 1; low += 0.2) {
        double expected = 0, variance = 0, drawn = 0;
        for (std::size_t i = 0; i < task.label.size(); ++i) {
          const double p = (*probability)[i];
          if (p < low || p >= low + 0.2) continue;
          expected += p, variance += p * (1 - p), drawn += task.label[i];
        }
        INFO(task.name << " from " << low << ": " << drawn << " drawn, " << expected << " expected");
        CHECK(std::abs(drawn - expected) <= 4 * std::sqrt(variance) + 1e-9);  // seventy-five bins, four deviations each
      }
}

TEST_CASE("a rank AUC counts pairs, ties by half") {
  CHECK(rank_auc({0.1, 0.4, 0.35, 0.8}, {0, 0, 1, 1}) == Approx(0.75));
  CHECK(rank_auc({1, 1, 1}, {0, 1, 1}) == Approx(0.5));
  CHECK(rank_auc({1, 2}, {1, 1}) == Approx(0.5));
}

TEST_CASE("the purchase task keeps its promised difficulty at several seeds") {
  for (std::uint64_t seed : {7u, 8u, 9u}) {
    const ShopTask task = draw_shop({.seed = seed, .out = {}}).tasks[0];
    const double attainable = rank_auc(task.attainable, task.label);
    const double rate = static_cast<double>(std::count(task.label.begin(), task.label.end(), 1)) / static_cast<double>(task.label.size());
    CHECK(attainable > 0.85);
    CHECK(attainable < 0.92);
    CHECK(rate > 0.15);
    CHECK(rate < 0.25);
    CHECK(rank_auc(task.probability, task.label) > attainable);
  }
}

TEST_CASE("what other tables show of customers helps the task that is built so, and cannot help the one that is not") {
  for (std::uint64_t seed : {7u, 8u, 9u}) {
    const ShopTables tables = draw_shop({.seed = seed, .out = {}});
    const auto gain = [](const ShopTask& task) { return rank_auc(task.shared, task.label) - rank_auc(task.attainable, task.label); };
    for (const ShopTask& task : tables.tasks) {
      INFO("seed " << seed << ", " << task.name << ": " << gain(task));
      if (task.sharing == "helps") CHECK(gain(task) > 0.02);
      if (task.sharing == "helps little") CHECK(std::abs(gain(task)) < 0.015);
      if (task.sharing == "cannot help") CHECK(task.shared == task.attainable);
    }
    CHECK(gain(tables.tasks[4]) > 0.1);  // its own table shows nothing of what the customer is like
    CHECK(tables.tasks[1].sharing == "helps");
    CHECK(tables.tasks[3].sharing == "cannot help");
    CHECK(rank_auc(tables.tasks[3].attainable, tables.tasks[3].label) > 0.7);  // there is something to learn all the same
  }
}

TEST_CASE("evidence of several tables adds up as that of normal noise does") {
  // One customer, one trait: the first task shows 1 with noise 1, the second 2 with noise 0.5; they know 1 and 4 times as much.
  std::vector<ShopTask> tasks = {{"a", "a.csv", "y", "helps"}, {"b", "b.csv", "y", "helps"}};
  for (ShopTask& task : tasks) task.rows.resize(1);
  tasks[0].rows[0] = {.customer = 0, .seen = 0.5, .traits = {{{2, ShopTrait::patience, {1, 1}}, {}}}};
  tasks[1].rows[0] = {.customer = 0, .seen = 0, .traits = {{{1, ShopTrait::patience, {8, 4}}, {3, ShopTrait::none, {}}}}};
  share_evidence(tasks, 1);
  CHECK(tasks[0].shared.at(0) == Approx(expected_sigmoid(0.5 + 2 * 9.0 / 6, std::sqrt(4 / 6.0))));
  CHECK(tasks[1].shared.at(0) == Approx(expected_sigmoid(9.0 / 6, std::sqrt(1 / 6.0 + 9))));  // a trait of none is the row's own
}

TEST_CASE("a folder that is not empty is refused unless it may be overwritten") {
  Folder folder;
  SilentLog log;
  ShopOptions options{.customers = 20, .products = 5, .sessions = 50, .seed = 7, .out = folder.path / "shop"};
  fs::create_directories(options.out);
  std::ofstream(options.out / "mine.txt") << "keep";
  CHECK_THROWS_AS(generate_shop(options, log), UsageError);
  CHECK(read(options.out / "mine.txt") == "keep");
  options.overwrite = true;
  generate_shop(options, log);
  CHECK(fs::exists(options.out / "truth.json"));
  options.sessions = 0;
  CHECK_THROWS_AS(generate_shop(options, log), UsageError);
  options.sessions = 50;
  options.out = folder.path / "shop" / "truth.json" / "below_a_file";
  CHECK_THROWS_AS(generate_shop(options, log), IoError);
}

TEST_CASE("a table of features has its rows and columns and is never written over") {
  Folder folder;
  generate_features(50, 100, 7, folder.path / "a.csv");
  generate_features(50, 100, 7, folder.path / "b.csv");
  const std::string text = read(folder.path / "a.csv");
  CHECK(text == read(folder.path / "b.csv"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 51);
  CHECK(std::count(text.begin(), text.end(), ',') == 51 * 100);
  CHECK_THROWS_AS(generate_features(50, 100, 7, folder.path / "a.csv"), UsageError);
  CHECK_THROWS_AS(generate_features(0, 100, 7, folder.path / "c.csv"), UsageError);
  CHECK_THROWS_AS(generate_features(5, 5, 7, folder.path / "none" / "c.csv"), IoError);
}
