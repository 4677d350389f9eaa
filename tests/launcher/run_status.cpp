#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/run_status.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>

using namespace chorale;
using Catch::Contains;

namespace {

const std::string kStart = "{\"attempt\":2,\"event\":\"start\",\"code\":null,\"cause\":\"\"}\n";

/// 100 of 1000 steps of 50 samples at 500 samples/s.
struct Run : tests::Folder {
  Run() {
    write("metrics.jsonl",
          "{\"event\":\"step\",\"step\":900,\"samples_per_second\":9}\n"
          "{\"event\":\"start\",\"step\":40,\"batch\":50,\"total_steps\":1000}\n{\"event\":\"step\",\"step\":100,\"samples_per_second\":"
          "500}\n{\"event\":\"st");
    write("events.jsonl", "{\"attempt\":1,\"event\":\"end\",\"code\":99,\"cause\":\"checkpointed\"}\n" + kStart);
    write("checkpoints/step_80/manifest.json", "{}");
    write("checkpoints/step_90.tmp.1/manifest.json", "{}");
    write("checkpoints/step_95/model.safetensors", "");
  }
  void end(int code, const std::string& cause) const {
    write("events.jsonl",
          kStart + "{\"attempt\":2,\"event\":\"end\",\"step\":120,\"code\":" + std::to_string(code) + ",\"cause\":\"" + cause + "\"}\n");
  }
};

}  // namespace

TEST_CASE("a run that goes on says step, speed, time left and its newest whole checkpoint") {
  const Run run;
  const RunStatus s = run_status(run.path);
  CHECK(s.state == "running");
  CHECK(s.step == 100);
  CHECK(s.total_steps == 1000);
  CHECK(s.attempt == 2);
  CHECK(s.samples_per_second == 500);
  CHECK(s.seconds_left == Approx(90));
  CHECK(s.checkpoint == 80);
  CHECK_THAT(status_text(s), Contains("0:01:30") && Contains("100 of 1000"));
}

TEST_CASE("a run whose files have not grown for long is silent, not running") {
  const Run run;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run.path))
    std::filesystem::last_write_time(entry, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(5));
  CHECK(run_status(run.path).state == "silent");
  CHECK_THAT(status_text(run_status(run.path)), Contains("nothing was written for 300 s") && !Contains("time left"));
}

TEST_CASE("a verdict decides the state") {
  const Run run;
  for (const auto& [code, cause, state] : std::vector<std::tuple<int, std::string, std::string>>{{0, "done", "done"},
                                                                                                 {0, "early_stopped", "early_stopped"},
                                                                                                 {99, "checkpointed", "saved"},
                                                                                                 {130, "interrupted", "interrupted"},
                                                                                                 {75, "rank 3 is gone", "failed"}}) {
    run.end(code, cause);
    const RunStatus s = run_status(run.path);
    CHECK(s.state == state);
    CHECK(s.code == code);
    CHECK(s.step == 120);
  }
}

TEST_CASE("a run that was submitted and has not started is queued, a folder without a run is refused") {
  const tests::Folder folder;
  CHECK_THROWS_WITH(run_status(folder.path), Contains("holds no run"));
  folder.write("events.jsonl", "{\"attempt\":1,\"event\":\"submit\"}\n");
  CHECK(run_status(folder.path).state == "queued");
}

TEST_CASE("a run that was submitted again waits for its new job, whatever its last attempt has said") {
  const Run run;
  run.write("events.jsonl", kStart + "{\"attempt\":2,\"event\":\"end\",\"step\":120,\"code\":75,\"cause\":\"lost\"}\n" +
                                "{\"attempt\":0,\"event\":\"submit\",\"job\":\"none\"}\n");
  const RunStatus s = run_status(run.path);
  CHECK(s.state == "queued");
  CHECK_THAT(s.why, Contains("newest checkpoint"));
  CHECK(s.job == "none");
}

TEST_CASE("the folder of an array's task is queued until its ranks have begun, and a pipe in a run holds nobody up") {
  const tests::Folder folder;
  folder.write("array/events.jsonl", "{\"attempt\":0,\"event\":\"submit\",\"job\":\"999999999\"}\n");
  std::filesystem::create_directories(folder.path / "array/seed_3");
  const RunStatus s = run_status(folder.path / "array/seed_3/");
  CHECK((s.state == "queued" || s.state == "lost"));  // without Slurm, or by one that knows no such job
  CHECK(s.job == "999999999_3");
  std::filesystem::create_directories(folder.path / "seed_3");
  CHECK_THROWS_WITH(run_status(folder.path / "seed_3"), Contains("holds no run"));
  const Run run;
  std::filesystem::remove(run.path / "metrics.jsonl");
  REQUIRE(::mkfifo((run.path / "metrics.jsonl").c_str(), 0600) == 0);
  CHECK(run_status(run.path).attempt == 2);
  run.write("events.jsonl", kStart + "{\"attempt\":2,\"event\":\"end\",\"step\":1e300,\"code\":-1e300,\"cause\":\"\"}\n");
  CHECK(run_status(run.path).step == 1'000'000'000'000'000);
}

TEST_CASE("words of a file cannot move the terminal's cursor") {
  const Run run;
  run.end(70, "\\u001b[2J\\u0007gone\\n");
  const std::string text = status_text(run_status(run.path));
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\x07') == std::string::npos);
}
