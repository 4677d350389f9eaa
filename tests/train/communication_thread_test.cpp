#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include <chorale/core/io/file.hpp>
#include <chorale/tests/train/run_ranks.hpp>

using namespace chorale;

namespace {

/// Notes on which thread it is called, and has something under way until it has been looked at `looks` times.
class Listening final : public Exchange {
 public:
  std::span<const Buffer> begin() override { return {}; }
  void bucket_ready(const Bucket& bucket) override {
    if (bucket.index == fails_at) throw IoError("the wire is cut");
    heard += std::to_string(bucket.index);
    caller = std::this_thread::get_id();
  }
  bool advance() override { return ++looked % 100 != 0; }
  StepOutcome step(FlatParams&, Optimizer&, StepOrder, std::span<const WorkerReport>, const RankReport&) override { return {}; }
  const std::vector<Phases>& phases() const override { return phases_; }
  std::uint64_t bytes_per_step() const override { return 0; }
  void gather_state(Optimizer&) override {}
  void release_state(Optimizer&) override {}
  std::vector<Carried> carried() const override { return {}; }
  // Not atomic: who has the exchange is alone with it, as ThreadSanitizer can tell.
  std::string heard;
  std::thread::id caller;
  int fails_at = -1, looked = 0;

 private:
  std::vector<Phases> phases_;
};

SmallRun two_nodes(const std::string& exchange, const std::string& overlap) {
  SmallRun run;
  run.layers = "linear(90) relu dropout(0.2) linear(70) tanh linear(60) relu linear(1)";
  run.ranks = 2, run.nodes = 2;
  run.config.train.batch = 32;
  run.config.train.epochs = 2;
  run.config.parallel.exchange = exchange;
  run.config.parallel.overlap = overlap;
  return run;
}

struct Facts : Callback {
  void on_start(const RunFacts& facts) override { overlap = facts.overlap; }
  std::string overlap;
};

}  // namespace

TEST_CASE("buckets are handed to the thread in order, and the exchange comes back with all of them") {
  for (const bool has_core : {true, false}) {
    Listening exchange;
    CommunicationThread thread(exchange, has_core);
    for (int step = 0; step < 50; ++step) {
      exchange.heard.clear();
      exchange.looked = 0;
      for (int b = 0; b < 5; ++b) {
        thread.bucket_ready({.index = b});
        if (step % 7 == 3) std::this_thread::sleep_for(std::chrono::microseconds(300));  // the thread falls asleep in between
      }
      thread.take_back();
      CHECK(exchange.heard == "01234");
      CHECK(exchange.caller != std::this_thread::get_id());
    }
    thread.take_back();  // nothing has left: a step without a last pass
  }
}

TEST_CASE("what the thread meets is thrown where the step is taken, once") {
  Listening exchange;
  exchange.fails_at = 1;
  CommunicationThread thread(exchange, false);
  for (int b = 0; b < 4; ++b) thread.bucket_ready({.index = b});
  CHECK_THROWS_WITH(thread.take_back(), Catch::Contains("the wire is cut"));
  CHECK(exchange.heard == "0");
  CHECK_NOTHROW(thread.take_back());
}

TEST_CASE("a thread whose buckets nobody takes back ends with its owner") {
  Listening exchange;
  {
    CommunicationThread thread(exchange, true);
    thread.bucket_ready({.index = 0});
  }
  exchange.heard += ".";  // ours alone again, whether the thread came to the bucket or not
  CHECK((exchange.heard == "." || exchange.heard == "0."));
}

TEST_CASE("a communication thread gives the bits of buckets that leave between layers") {
  for (const std::string exchange : {"replicated", "shared", "sharded"})
    for (const std::string wire : {"f32", "bf16"})
      for (const auto& [ranks, nodes] : std::vector<std::pair<int, int>>{{2, 2}, {4, 2}, {3, 3}, {6, 3}}) {
        CAPTURE(exchange, wire, ranks, nodes);
        SmallRun run = two_nodes(exchange, "layers");
        run.ranks = ranks, run.nodes = nodes;
        run.config.parallel.wire = wire;
        if (wire == "bf16" && exchange == "sharded") run.optimizer.clip_norm = 0.3;
        const auto layers = run.run();
        run.config.parallel.overlap = "thread";
        const auto thread = run.run();
        for (const std::string& error : thread.errors) CHECK(error == "");
        for (const std::string& hash : thread.hashes) CHECK(hash == layers.summary.parameters_hash);
      }
}

TEST_CASE("it is said who carries gradients between nodes, and why") {
  const auto said = [](SmallRun run) {
    Facts facts;
    run.config.train.steps = 1;
    run.callbacks = {&facts};
    for (const std::string& error : run.run().errors) CHECK(error == "");
    return facts.overlap;
  };
  CHECK(said(two_nodes("shared", "thread")) == "communication thread (as asked)");
  CHECK(said(two_nodes("shared", "layers")) == "between layers (as asked)");
  SmallRun many = two_nodes("shared", "auto");
  many.ranks = 32;  // of one process
  if (sysconf(_SC_NPROCESSORS_ONLN) < 64) CHECK(said(many) == "between layers (no core is free)");
  SmallRun parts = two_nodes("shared", "auto");
  parts.config.parallel.virtual_workers = 8;
  CHECK_THAT(said(parts), Catch::StartsWith("none"));
  SmallRun one = two_nodes("shared", "auto");
  one.nodes = 1;
  CHECK(said(one) == "");
  struct Words : Log {
    void write(LogLevel, std::string_view text) override { all += text; }
    std::string all;
  } words;
  one.config.parallel.overlap = "thread", one.log = &words;
  CHECK(said(one) == "");
  CHECK_THAT(words.all, Catch::Contains("nothing to carry on one node"));
  SmallRun rounds = two_nodes("local_sgd", "thread");
  CHECK_THAT(rounds.run().errors[0], Catch::Contains("does nothing with local_sgd"));
}

TEST_CASE("the trace shows the communication thread on a track of its own") {
  const auto file = std::filesystem::temp_directory_path() / ("chorale_track_" + std::to_string(::getpid()) + ".json");
  SmallRun run = two_nodes("shared", "thread");
  run.config.trace = {.first = 5, .last = 6};
  run.config.trace_file = file.string();
  for (const std::string& error : run.run().errors) CHECK(error == "");
  const auto events = nlohmann::json::parse(read_text(file)).at("traceEvents");
  std::filesystem::remove(file);
  int named = 0, sends = 0;
  for (const auto& e : events) {
    if (e.at("tid") != 1) continue;
    if (e.at("name") == "thread_name") {
      ++named;
      CHECK(e.at("args").at("name") == "communication thread");
    } else {
      ++sends;
      CHECK_THAT(e.at("name").get<std::string>(), Catch::Contains("send"));
    }
  }
  CHECK(named == 2);  // ranks
  CHECK(sends > 0);
}
