// What a rank did last can be read afterwards.
#include <catch2/catch.hpp>
#include <atomic>

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include <chorale/comm/communicator.hpp>
#include <chorale/comm/rank_watch.hpp>
#include <chorale/core/io/file.hpp>

using namespace chorale;

namespace {

struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("chorale_flight_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path / "logs"); }
  ~Folder() { std::filesystem::remove_all(path); }
  nlohmann::json record(int rank) const {
    return nlohmann::json::parse(read_text(path / "logs" / ("flight_rank_" + std::to_string(rank) + ".json")));
  }
};

}  // namespace

TEST_CASE("the last thousand communications and phases are kept, whatever their names hold") {
  const Folder folder;
  RankWatch watch;
  watch.recorder().open(folder.path.string(), 3, 4);
  for (int step = 1; step <= 700; ++step) {
    watch.begin_step(step);
    watch.enter(Activity::backward);
    watch.enter(Activity::updating, "a \"quote\"\\ and \x01");
  }
  watch.dump("the \"reason\"", false);
  watch.dump("a later one", false);
  const auto j = folder.record(3);
  CHECK(j.at("reason") == "the \"reason\"");
  CHECK(j.at("rank") == 3);
  CHECK(j.at("world_size") == 4);
  CHECK(j.at("step") == 700);
  const auto& entries = j.at("entries");
  REQUIRE(entries.size() == FlightRecorder::kEntries);
  CHECK(entries.back().at("number") == 1400);
  CHECK(entries.back().at("label") == "a \"quote\"\\ and \x01");
  CHECK(entries.back().at("finished").is_null());
  CHECK(entries.front().at("step") == 201);
  CHECK(entries.front().at("finished").get<double>() >= entries.front().at("begun").get<double>());
}

TEST_CASE("a collective that never ended stands in the record as under way") {
  const Folder folder;
  auto comms = make_thread_communicators(2);
  std::thread other([&] { comms[1]->barrier("first").wait(); });
  comms[0]->watch().recorder().open(folder.path.string(), 0, 2);
  comms[0]->set_timeout_ms(300);
  comms[0]->barrier("first").wait();
  CHECK_THROWS(comms[0]->barrier("second").wait());  // the deadline writes the record, and every thread's frames
  other.join();
  const auto entries = folder.record(0).at("entries");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].at("label") == "first");
  CHECK_FALSE(entries[0].at("finished").is_null());
  CHECK(entries[1].at("verb") == "barrier");
  CHECK(entries[1].at("sequence") == 2);
  CHECK(entries[1].at("finished").is_null());
  CHECK_THAT(read_text(folder.path / "logs" / "backtrace_rank_0.txt"), Catch::Contains("thread ") && Catch::Contains("libchorale"));
}
TEST_CASE("a thread that carries buckets for a rank is recorded, and does not say where the rank is") {
  RankWatch watch;
  watch.begin_step(3);
  Announcement verb;
  verb.verb = Verb::send;
  verb.set_label("gradient shares");
  std::atomic<bool> over{false}, lost{false};
  std::thread carrier([&] {
    for (int i = 0; i < 20000; ++i) {
      const std::uint64_t ticket = watch.begin(FlightRecorder::Kind::message, verb, 8, {});
      watch.wait_for(verb);
      watch.waited();
      watch.finish(ticket);
    }
    over = true;
  });
  while (!over) {
    watch.forward("encoder.2");
    const Sighting seen = watch.presence().read();
    lost = lost || seen.activity != Activity::forward || std::string_view(seen.what) != "encoder.2";
  }
  carrier.join();
  CHECK_FALSE(lost);
}
