// The last words of a rank that has died, as the terminal gets them.
#include <catch2/catch.hpp>

#include <fstream>

#include <chorale/core/base/private_folder.hpp>
#include <chorale/launcher/supervisor/last_lines.hpp>

using namespace chorale;

namespace {
struct LogFile {
  PrivateFolder place;
  std::string path = place.path() + "/rank_1.jsonl";
  void add(const std::string& time, const std::string& text) {
    std::ofstream(path, std::ios::app) << R"({"time":")" << time << R"(","rank":1,"level":"info","text":")" << text << "\"}\n";
  }
};
}  // namespace

TEST_CASE("equal lines are folded, earlier attempts' are left out, nothing is said twice") {
  LogFile log;
  log.add("2026-01-01", "of the run before");
  for (int i = 0; i < 5; ++i) log.add("2026-01-0" + std::to_string(3 + i), "a slow disk");
  log.add("2026-01-08", "the cause");
  log.add("2026-01-09", "one more");
  std::ofstream(log.path, std::ios::app) << "{\"half";
  LastLines last;
  CHECK(last.of(log.path, "2026-01-02", "rank 1: the cause") ==
        std::vector<std::string>{"2026-01-07: a slow disk (5 times)", "2026-01-09: one more"});
  CHECK(last.of(log.path, "2026-01-02").size() == 1);  // the cause alone is new
  CHECK(last.of(log.path, "2026-01-02").empty());
  CHECK(last.of(log.place.path() + "/none", "").empty());
}

TEST_CASE("at most three lines, the newest, with control characters as text") {
  LogFile log;
  for (const char* text : {"a", "b", "c"}) log.add("t", text);
  log.add("t", R"(\u001b[2Jgone)");
  CHECK(LastLines().of(log.path, "") == std::vector<std::string>{"t: b", "t: c", "t: \\x1b[2Jgone"});
}
