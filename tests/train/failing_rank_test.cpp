#include "run_ranks.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>

#include <chorale/train/gradient_engine.hpp>

using namespace chorale;

namespace {

/// Gives rows until the count of calls is reached, on all ranks together, and then no more.
class EndingDataset final : public Dataset {
 public:
  EndingDataset(std::shared_ptr<Dataset> data, int calls) : data_(std::move(data)), left_(calls) {}
  std::int64_t rows() const override { return data_->rows(); }
  const std::vector<Field>& fields() const override { return data_->fields(); }
  void gather(int field, std::span<const std::int64_t> rows, void* out) const override {
    if (--left_ < 0) throw DataError("the disk is gone");
    data_->gather(field, rows, out);
  }

 private:
  std::shared_ptr<Dataset> data_;
  mutable std::atomic<int> left_;
};

double seconds_of(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("ranks of two nodes that fail inside one step do not wait for each other until the deadline") {
  for (const std::string overlap : {"layers", "thread"}) {
    CAPTURE(overlap);
    SmallRun run;
    run.layers = "linear(90) relu linear(70) tanh linear(1)";  // a block for each rank
    run.config.train.batch = 32;
    run.config.parallel.exchange = "shared";
    run.config.parallel.overlap = overlap;
    run.ranks = 2, run.nodes = 2;
    run.train = std::make_shared<EndingDataset>(run.train, 41);
    SmallRun::Result result;
    CHECK(seconds_of([&] { result = run.run(); }) < 20);  // the deadline is a minute
    for (const std::string& error : result.errors) CHECK_THAT(error, Catch::Contains("the disk is gone"));
  }
}

TEST_CASE("who leaves a gradient engine in the middle of a step does not wait until the deadline") {
  const std::string overlap = GENERATE("layers", "thread");
  CAPTURE(overlap);
  auto comms = make_thread_communicators(2, 2);
  std::vector<std::thread> threads;
  const auto leave = [&](Communicator& comm) {
    GradientEngine engine(comm, {.parallel = {.exchange = "shared", .overlap = overlap}});
    const std::size_t a = engine.add("a", 5000);
    engine.add("b", 5000);
    engine.start();
    engine.gradient(a)[0] = 1;
    if (comm.rank() == 0) engine.ready(a);  // its bucket is on its way, or awaited, when the rank leaves
    throw DataError("the disk is gone");
  };
  const auto run = [&](Communicator& comm) {
    try {
      leave(comm);
    } catch (const Error&) {  // its own, or where the other was faster, that one's
    }
  };
  const double seconds = seconds_of([&] {
    for (auto& comm : comms) threads.emplace_back([&] { run(*comm); });
    for (std::thread& thread : threads) thread.join();
  });
  CHECK(seconds < 20);
}

TEST_CASE("the larger of two models does not find the smaller one's memory") {
  for (const int large : {0, 1}) {
    CAPTURE(large);
    auto comms = make_thread_communicators(2);
    std::vector<std::string> errors(2);
    std::vector<std::thread> threads;
    const auto start = [&](int r) {
      Registry registry;
      register_all(registry);
      SilentLog log;
      auto device = make_cpu_device();
      TrainerConfig config;
      auto model = build_layers(r == large ? "linear(90) linear(1)" : "linear(16) linear(1)", {7}, registry);
      auto loss = make_loss(config.train, {}, registry);
      auto rule = make_optimizer({}, registry);
      Trainer trainer(
          {*comms[static_cast<std::size_t>(r)], *device, *model, *loss, *rule, registry, log, small_data(203, 7, 1), nullptr, nullptr},
          config);
    };
    for (int r = 0; r < 2; ++r)
      threads.emplace_back([&, r] {
        try {
          start(r);
        } catch (const UsageError& e) {
          errors[static_cast<std::size_t>(r)] = e.what();
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const std::string& error : errors) CHECK_THAT(error, Catch::Contains("shape of parameter 1.weight is '[1, "));
  }
}
