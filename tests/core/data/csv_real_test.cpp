// Real files, where CHORALE_DATA names a folder that has them.
#include <catch2/catch.hpp>

#include <cmath>

#include "csv_fixture.hpp"

#include <chorale/core/data/describe.hpp>

using namespace chorale;

namespace {

// The file's path, or "" after saying why the test is skipped.
std::string real_file(const std::string& name) {
  const char* folder = std::getenv("CHORALE_DATA");
  if (!folder || !*folder) {
    std::puts(("SKIPPED: CHORALE_DATA is not set, so " + name + " is not read").c_str());
    return "";
  }
  const std::string path = std::string(folder) + "/" + name;
  if (std::filesystem::exists(path)) return path;
  std::puts(("SKIPPED: " + path + " does not exist").c_str());
  return "";
}

}  // namespace

TEST_CASE("online retail is read as pandas reads it", "[data]") {
  const std::string path = real_file("online_retail/online_retail.csv.gz");
  if (path.empty()) return;
  const DataDescription d = describe_data(options_for(path));
  REQUIRE(d.rows == 541909);
  REQUIRE(d.columns.size() == 8);
  // pandas 3.1.1: nunique, isna, mean. Descriptions differ by rule: blanks around them go, and "?" is missing here.
  const std::int64_t different[] = {25900, 4070, 4210, 722, 23260, 1630, 4372, 38};
  for (std::size_t i = 0; i < 8; ++i) CHECK(d.columns[i].different == different[i]);
  CHECK(d.columns[2].missing == 1454 + 47);
  CHECK(d.columns[6].missing == 135080);
  CHECK(d.columns[3].mean == Approx(9.552250).epsilon(1e-6));
  CHECK(d.columns[5].mean == Approx(4.611114).epsilon(1e-6));
  CHECK(d.columns[4].type == ColumnType::date);
}

TEST_CASE("the shoppers file has its known shape", "[data]") {
  const std::string path = real_file("online_shoppers/online_shoppers_intention.csv");
  if (path.empty()) return;
  const DataDescription d = describe_data(options_for(path));
  CHECK(d.rows == 12330);
  CHECK(d.columns.size() == 18);
  CHECK(d.target == "Revenue");
  CHECK(d.columns.back().type == ColumnType::category);
  CHECK(d.columns.back().different == 2);
  CHECK(d.columns[5].type == ColumnType::number);
}
