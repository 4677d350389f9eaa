// events.jsonl: whose attempt a verdict belongs to when the folder was replaced meanwhile, and lines that others have written into it.
#include <chorale/launcher/run_directory.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/private_folder.hpp>

using namespace chorale;
namespace fs = std::filesystem;

namespace {

struct Place {
  PrivateFolder folder;
  std::string run = folder.path() + "/run";
  void start(bool overwrite) const {
    RunDirectory directory({.path = run, .name = "r", .resume = !overwrite && fs::exists(run), .overwrite = overwrite});
    directory.start("[train]\n");
    directory.release();
  }
  void line(const std::string& text) const { std::ofstream(run + "/events.jsonl", std::ios::app) << text << "\n"; }
  std::vector<nlohmann::json> ends() const {
    std::vector<nlohmann::json> out;
    std::ifstream file(run + "/events.jsonl");
    for (std::string text; std::getline(file, text);)
      if (const auto json = nlohmann::json::parse(text, nullptr, false); json.is_object() && json.value("event", "") == "end")
        out.push_back(json);
    return out;
  }
};

Verdict lost() { return {.code = static_cast<int>(ExitCode::comm), .cause = "rank 1 has ended: SIGKILL", .rank = 1, .step = 7}; }

}  // namespace

TEST_CASE("the verdict of an attempt that has replaced a run is that attempt's, whose number the old one had too") {
  const Place place;
  place.start(false);
  const RunDirectory::Seen before = RunDirectory::look(place.run);
  CHECK(before.attempt == 1);
  place.start(true);
  CHECK(RunDirectory::attempts_before(before, RunDirectory::folder_number(place.run)) == 0);
  CHECK(RunDirectory::append_verdict(place.run, lost(), "", before));
  REQUIRE(place.ends().size() == 1);
  CHECK(place.ends()[0].at("attempt") == 1);
  CHECK(place.ends()[0].at("cause") == lost().cause);
  const auto recorded = RunDirectory::recorded_end(place.run, 0);
  REQUIRE(recorded);
  CHECK((recorded->code == 75 && recorded->rank == 1 && recorded->step == 7 && recorded->cause == lost().cause));
  CHECK_FALSE(RunDirectory::recorded_end(place.run, 1));
  CHECK_FALSE(RunDirectory::append_verdict(place.run, lost(), "", before));  // it has its end
}

TEST_CASE("lines of events.jsonl that are none of ours are passed over") {
  const Place place;
  place.start(false);
  for (const char* text :
       {R"({"attempt":5,"event":5})", R"({"attempt":1,"event":"start","watcher":3,"job":[]})", R"({"attempt":2147483647,"event":"start"})",
        R"({"attempt":-4,"event":"end"})", R"({"attempt":1e300,"event":"end"})", "[]", "{", "\x01"})
    place.line(text);
  CHECK(RunDirectory::look(place.run).attempt == 5);
  place.start(false);
  CHECK(RunDirectory::look(place.run).attempt == 6);
  CHECK(RunDirectory::look(place.run).watcher.empty());
}

TEST_CASE("a line that a full disk has cut takes no other one with it") {
  const Place place;
  place.start(false);
  RunDirectory::append_verdict(place.run, lost(), "", {});
  std::ofstream(place.run + "/events.jsonl", std::ios::app) << R"({"time":"2026-01-01T00:00:00Z","attempt":2,"event":"en)";
  const RunDirectory::Seen before = RunDirectory::look(place.run);
  place.start(false);
  const RunDirectory::Seen seen = RunDirectory::look(place.run);
  CHECK((seen.attempt == 2 && !seen.has_ended));
  CHECK(RunDirectory::append_verdict(place.run, lost(), "", before));
  CHECK(place.ends().size() == 2);
}

TEST_CASE("a start that is interrupted before it has begun leaves no line, one that has begun does") {
  const Place place;
  place.start(false);
  const Verdict interrupted = {.code = static_cast<int>(ExitCode::interrupted), .cause = "interrupted"};
  CHECK(RunDirectory::append_verdict(place.run, interrupted, "", {}));
  CHECK(place.ends().size() == 1);
  CHECK_FALSE(RunDirectory::append_verdict(place.run, interrupted, "", RunDirectory::look(place.run)));
  CHECK(place.ends().size() == 1);
}
