#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "run_ranks.hpp"

#include <chorale/core/io/file.hpp>

using namespace chorale;

TEST_CASE("a trace holds the window's steps, layers, gradients and waits of all ranks, and changes no bit") {
  for (const int nodes : {1, 2}) {
    CAPTURE(nodes);
    const auto file = std::filesystem::temp_directory_path() / ("chorale_trace_" + std::to_string(::getpid()) + ".json");
    SmallRun run;
    run.ranks = 2, run.nodes = nodes;
    run.config.train.batch = 32;
    run.config.train.epochs = 2;
    run.config.parallel.exchange = "shared";
    const auto plain = run.run();
    run.config.trace = {.first = 5, .last = 6};
    run.config.trace_file = file.string();
    const auto traced = run.run();
    for (const std::string& error : traced.errors) CHECK(error == "");
    CHECK(traced.summary.parameters_hash == plain.summary.parameters_hash);
    const auto events = nlohmann::json::parse(read_text(file)).at("traceEvents");
    std::filesystem::remove(file);
    std::map<std::string, int> count;
    for (const auto& e : events) {
      if (e.at("ph") != "X") continue;
      ++count[e.at("name")];
      CHECK(e.at("ts").get<double>() >= 0);
      CHECK(e.at("dur").get<double>() >= 0);
    }
    for (const char* name :
         {"step 5", "step 6", "forward", "backward", "0 linear(7, 16)", "gradient of 0.weight", "wait: gradients", "update"}) {
      CAPTURE(name);
      CHECK(count[name] == (std::string(name).starts_with("step") ? 2 : 4));  // two ranks, two steps
    }
    CHECK(count["step 4"] + count["step 7"] == 0);
    CHECK((count["bucket 0: send"] > 0) == (nodes == 2));
  }
}

TEST_CASE("a window that the run does not come to is said") {
  struct Words : Log {
    void write(LogLevel, std::string_view text) override { all += text, all += '\n'; }
    std::string all;
  };
  const auto file = std::filesystem::temp_directory_path() / ("chorale_missed_" + std::to_string(::getpid()) + ".json");
  for (const std::int64_t first : {3, 50}) {
    CAPTURE(first);
    Words words;
    SmallRun run;
    run.ranks = 2;
    run.config.train.batch = 32;
    run.config.train.steps = 4;
    run.config.trace = {.first = first, .last = first + 1};
    run.config.trace_file = file.string();
    run.log = &words;
    run.run();
    CHECK(std::filesystem::remove(file) == (first == 3));
    CHECK((words.all.find("train.trace begins at step 50, this run made steps 1 to 4") != std::string::npos) == (first == 50));
  }
}

TEST_CASE("a trace that cannot be written costs neither the run nor its checkpoint") {
  const auto folder = std::filesystem::temp_directory_path() / ("chorale_no_trace_" + std::to_string(::getpid()));
  for (const std::int64_t last : {6, 100}) {
    CAPTURE(last);
    SmallRun run;
    run.ranks = 2;
    run.config.train.batch = 32;
    run.config.train.epochs = 2;
    run.config.checkpoint_folder = (folder / "checkpoints").string();
    run.config.trace = {.first = 5, .last = last};
    run.config.trace_file = (folder / "nowhere" / "trace.json").string();
    const auto result = run.run();
    for (const std::string& error : result.errors) CHECK(error == "");
    CHECK(result.summary.status == "done");
    CHECK(std::filesystem::exists(folder / "checkpoints" / "step_14"));
    std::filesystem::remove_all(folder);
  }
}

TEST_CASE("a window of updates is FIRST:LAST") {
  CHECK(parse_trace_window("100:110").last == 110);
  CHECK(parse_trace_window("").is_empty());
  for (const char* wrong : {"7", "0:3", "9:3", "1:2x", "a:b"}) CHECK_THROWS_WITH(parse_trace_window(wrong), Catch::Contains("FIRST:LAST"));
}
